"""What people look at: tables, figures, curves, and the report as one HTML file."""
