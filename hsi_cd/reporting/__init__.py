"""What people look at: tables, figures, curves, and the report as one HTML file.

Tables are here. Figures and pages take Matplotlib and Jinja2, and are imported from their modules when one is
asked for: :func:`hsi_cd.reporting.figures.panel_figure`, :func:`hsi_cd.reporting.html.page.report_page`.
"""

from hsi_cd.reporting.comparison import compare_results
from hsi_cd.reporting.formats import FORMATS, results_table
from hsi_cd.reporting.tables import confusion_table, score_table
from hsi_cd.reporting.text_cells import align, format_score

__all__ = [
    "FORMATS",
    "align",
    "compare_results",
    "confusion_table",
    "format_score",
    "results_table",
    "score_table",
]
