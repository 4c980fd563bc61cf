"""Pictures of a fitted model as PNG bytes: ranking, calibration, scores, importances, SHAP values."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from app.ml.explain import ShapSummary
from app.ml.frame import Floats
from app.stats.calibration import reliability

_N_SHOWN = 15  # features in a bar chart
_N_GRID = 400  # points of a curve


def draw_plots(
    y: Floats, p: Floats, importances: dict[str, float], shap_summary: ShapSummary | None
) -> dict[str, bytes]:
    """All pictures, by file name.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of the test side: 1 churned, 0 stayed.
    p : ndarray of shape (n,)
        Their calibrated probabilities.
    importances : dict of str to float
        Share of each feature, largest first.
    shap_summary : ShapSummary or None
        None leaves its two pictures out.

    Returns
    -------
    dict of str to bytes
        PNG files.
    """
    drawings: dict[str, Callable[[Any], None]] = {
        "roc_curve.png": lambda axes: _roc(axes, y, p),
        "precision_recall_curve.png": lambda axes: _precision_recall(axes, y, p),
        "calibration.png": lambda axes: _calibration(axes, y, p),
        "score_distribution.png": lambda axes: _scores(axes, y, p),
        "importances.png": lambda axes: _bars(axes, importances, "share of the model's total gain"),
    }
    if shap_summary is not None:
        ranked = shap_summary.mean_absolute
        drawings["shap_importance.png"] = lambda axes: _bars(axes, ranked, "mean absolute SHAP value (log-odds)")
        drawings["shap_summary.png"] = lambda axes: _beeswarm(axes, shap_summary)
    return {name: _png(draw) for name, draw in drawings.items()}


def _png(draw: Callable[[Any], None]) -> bytes:
    """Draw on axes of their own: no pyplot, which keeps figures for ever and isn't safe in threads."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.subplots())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _counts_above(y: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Flagged churners and flagged others at each distinct cut-off, from none to all."""
    order = np.argsort(-p, kind="stable")
    last_of_step = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    thinned = last_of_step[np.unique(np.linspace(0, last_of_step.size - 1, _N_GRID).astype(int))]
    churned = np.cumsum(y[order])[thinned]
    return np.append(0.0, churned), np.append(0.0, thinned + 1 - churned)


def _roc(axes: Any, y: Floats, p: Floats) -> None:
    churned, stayed = _counts_above(y, p)
    axes.plot(stayed / max(stayed[-1], 1), churned / max(churned[-1], 1))
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.set(xlabel="share of the others flagged", ylabel="share of the churners flagged", title="ROC curve, test side")


def _precision_recall(axes: Any, y: Floats, p: Floats) -> None:
    churned, stayed = _counts_above(y, p)
    axes.plot(churned[1:] / max(churned[-1], 1), churned[1:] / (churned + stayed)[1:])
    axes.axhline(float(y.mean()), linestyle=":", color="grey")
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02), title="Precision and recall, test side")


def _calibration(axes: Any, y: Floats, p: Floats) -> None:
    bins = reliability(y, p)
    said = np.array([each.mean_predicted for each in bins])
    seen = np.array([each.churn_rate for each in bins])
    low, high = np.array([each.interval for each in bins]).T
    errors = np.maximum([seen - low, high - seen], 0)
    axes.errorbar(said, seen, yerr=errors, fmt="o-", capsize=3)
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.set(xlabel="mean predicted probability", ylabel="churn rate, 95 % interval", title="Calibration, test side")


def _scores(axes: Any, y: Floats, p: Floats) -> None:
    for label, name in ((0.0, "stayed"), (1.0, "churned")):
        axes.hist(p[y == label], bins=40, range=(0, 1), density=True, alpha=0.6, label=name)
    axes.legend()
    axes.set(xlabel="calibrated churn probability", ylabel="density", title="Scores, test side")


def _bars(axes: Any, ranked: dict[str, float], label: str) -> None:
    shown = list(ranked.items())[:_N_SHOWN][::-1]
    axes.barh([_plain(name) for name, _ in shown], [value for _, value in shown])
    axes.set(xlabel=label)


def _beeswarm(axes: Any, summary: ShapSummary) -> None:
    """One strip per feature; the colour is the rank of the value, grey where missing."""
    rng = np.random.default_rng(0)
    names = list(summary.mean_absolute)[:_N_SHOWN]
    for height, name in enumerate(reversed(names)):
        at = summary.features.index(name)
        values = summary.values[:, at]
        effects, jitter = summary.contributions[:, at], rng.uniform(-0.3, 0.3, len(values))
        missing = np.isnan(values)
        rank = np.searchsorted(np.sort(values[~missing]), values[~missing]) / max((~missing).sum(), 1)
        axes.scatter(effects[missing], height + jitter[missing], s=3, color="lightgrey")
        axes.scatter(effects[~missing], height + jitter[~missing], s=3, c=rank, cmap="coolwarm", vmin=0, vmax=1)
    axes.set_yticks(range(len(names)), [_plain(name) for name in reversed(names)])
    axes.set(xlabel="SHAP value (log-odds); red: high value, blue: low", title="What moves the score")


def _plain(name: str) -> str:
    """Matplotlib would read two dollar signs as mathematics."""
    return name[:40].replace("$", r"\$")
