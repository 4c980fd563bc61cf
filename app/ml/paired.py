"""Two versions on the same rows: each figure, the difference, and how sure it is."""

from dataclasses import dataclass
from math import isfinite

from app.ml.frame import Floats
from app.stats.arrays import Clusters, Estimate, Interval, cluster_codes
from app.stats.calibration import log_losses
from app.stats.influence import Figure, average_precision_of, calibration_slope_of, hits_in_top_share, mean_of, ratio_of
from app.stats.ranking import auc, auc_difference

MIN_ROWS = 20  # of either class; with fewer the differences say nothing: STATISTICS.md section 4


@dataclass(frozen=True)
class PairedFigure:
    """A figure of two versions.

    Attributes
    ----------
    a, b : the figures; None where one can't be had
    difference : b minus a
    interval : of the difference, clustered by account; one point where both say the same of every row
    """

    name: str
    a: float | None
    b: float | None
    difference: float | None
    interval: Interval | None


def compare_on_rows(
    y: Floats, p: tuple[Floats, Floats], top_shares: tuple[float, float], *, accounts: Clusters, confidence: float
) -> list[PairedFigure]:
    """Figures of two versions on the same rows, and b less a with its paired interval.

    AUC by DeLong, the others by their influence functions; all clustered by account. Precision, recall and F1 are those
    of flagging each version's own top share.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    p : two ndarrays of shape (n,)
        Calibrated probabilities of a and b.
    top_shares : two floats
        Churn rate of the development rows of a and b, 0..1.
    accounts : ndarray of shape (n,)
        Rows of one account carry the same value.
    confidence : float
        Of the intervals, 0..1.
    """
    codes = cluster_codes(accounts, y.size)
    figures_a, figures_b = (_figures(y, *each) for each in zip(p, top_shares, strict=True))
    ranked = _paired("roc_auc", auc(y, p[0]), auc(y, p[1]), auc_difference(y, p[1], p[0], codes), confidence)
    others = (
        _paired(name, a.value, b.value, b.less(a).estimate(codes), confidence)
        for (name, a), b in zip(figures_a.items(), figures_b.values(), strict=True)
    )
    return [ranked, *others]


def _figures(y: Floats, p: Floats, top_share: float) -> dict[str, Figure]:
    hits, share = hits_in_top_share(y, p, top_share)
    return {
        "pr_auc": average_precision_of(y, p),
        "precision": ratio_of(hits, share),
        "recall": ratio_of(hits, y),
        "f1": ratio_of(2 * hits, y + share),
        "log_loss": mean_of(log_losses(y, p)),
        "brier": mean_of((p - y) ** 2),
        "calibration_slope": calibration_slope_of(y, p),
    }


def _paired(name: str, a: float, b: float, difference: Estimate, confidence: float) -> PairedFigure:
    ends = difference.interval(confidence)
    return PairedFigure(
        name=name,
        a=a if isfinite(a) else None,
        b=b if isfinite(b) else None,
        difference=difference.value if isfinite(difference.value) else None,
        interval=ends if all(map(isfinite, ends)) else None,
    )
