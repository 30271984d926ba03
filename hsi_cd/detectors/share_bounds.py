"""A method's own threshold, held to the share of the scene that the label-free default finds changed.

How far up a method's scores reach where nothing changed depends on the land: of soil that is moister everywhere
CVA makes a class of its own, and its scores alone cannot tell that from change. The default predicts either date
from the other, and its scores have a tail that is known. So it says how much changed, and each method says where.
"""

from __future__ import annotations

import math

from hsi_cd.detectors.thresholds import Posterior, ScoreHistogram, Threshold, nothing_changed

_SLACK = 1.25  # times more, or less, than the default finds may be called changed


def bounded(
    histogram: ScoreHistogram, threshold: Threshold, posterior: Posterior, evidence: Threshold | None
) -> tuple[Threshold, Posterior]:
    """A threshold moved as far as it must for calling about as much changed as the evidence.

    Args:
        histogram: scores of the whole scene.
        threshold: the method's own.
        posterior: of the method.
        evidence: the default's threshold on the same scene; None where the scene does not carry it, and the
            method's own stands.

    Returns:
        The threshold, with the evidence's share of change, and the posterior moved along with it.
    """
    if evidence is None:
        return threshold, posterior
    told = {name: value for name, value in evidence.found.items() if name.startswith("changed_")}
    share = evidence.found["share"]
    if not share:
        above, none = nothing_changed(histogram, identical=True)
        return Threshold(threshold.method, above.value, told | above.found | {"own": threshold.value}), none
    least, most = (histogram.quantile(1 - min(times * share, 1)) for times in (_SLACK, 1 / _SLACK))
    value = min(max(threshold.value, least), most)
    if value == threshold.value:
        return Threshold(threshold.method, value, threshold.found | told), posterior
    own = {name: number for name, number in threshold.found.items() if name not in ("classes", "share")}
    called = float(histogram.above(value)) / histogram.total
    moved = Posterior(math.log(max(value, 1e-300)), posterior.slope)
    return Threshold(threshold.method, value, own | {"own": threshold.value, "share": called} | told), moved
