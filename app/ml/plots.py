"""Pictures of fitted models as PNG bytes: ranking, gain, calibration, scores, importances, SHAP values."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from app.ml.explain import ShapSummary
from app.ml.frame import Floats
from app.stats.gains import cumulative_gain
from app.stats.ranking import auc, pr_auc

_N_SHOWN = 15  # features in a bar chart
_N_GRID = 400  # points of a curve
_MARGINS = {"left": 0.12, "right": 0.97, "bottom": 0.12, "top": 0.92}  # the same for all curves, so that they compare
_SHOWN_SHARES = (0.1, 0.2)  # of the accounts contacted, marked in the picture of gains


def draw_comparison(y: Floats, scores: Mapping[str, Floats]) -> dict[str, bytes]:
    """How several models rank the same rows, each picture with all of them, by file name.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of the test side: 1 churned, 0 stayed.
    scores : mapping of str to ndarray of shape (n,)
        For each model by the name it is shown with, the foremost first, its calibrated probabilities.

    Returns
    -------
    dict of str to bytes
        PNG files.
    """
    drawings: dict[str, Callable[[Any], None]] = {
        "roc_curve.png": lambda axes: _roc(axes, y, scores),
        "precision_recall_curve.png": lambda axes: _precision_recall(axes, y, scores),
        "cumulative_gain.png": lambda axes: _gain(axes, y, scores),
        "lift.png": lambda axes: _lift(axes, y, scores),
    }
    return {name: _png(draw) for name, draw in drawings.items()}


def draw_model(
    y: Floats,
    p: Floats,
    importances: dict[str, float],
    shap_summary: ShapSummary | None,
    calibration: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """What one model says and why, by file name.

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
    calibration : mapping or None
        The figures of the test side 'before' and 'after' calibration, with reliability tables: see
        `calibration_figures`. None leaves their picture out.

    Returns
    -------
    dict of str to bytes
        PNG files.
    """
    drawings: dict[str, Callable[[Any], None]] = {
        "score_distribution.png": lambda axes: _scores(axes, y, p),
        "importances.png": lambda axes: _bars(axes, importances, "share of the model's total gain", "What it uses"),
    }
    if calibration is not None:
        drawings["calibration.png"] = lambda axes: _calibration(axes, calibration)
    if shap_summary is not None:
        ranked, label = shap_summary.mean_absolute, "mean absolute SHAP value (log-odds)"
        drawings["shap_importance.png"] = lambda axes: _bars(axes, ranked, label, "What moves the score most")
        drawings["shap_summary.png"] = lambda axes: _beeswarm(axes, shap_summary)
    return {name: _png(draw) for name, draw in drawings.items()}


def _png(draw: Callable[[Any], None]) -> bytes:
    """Draw on axes of their own: no pyplot, which keeps figures for ever and isn't safe in threads."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5))
    FigureCanvasAgg(figure)
    draw(figure.subplots(gridspec_kw=_MARGINS))
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


def _roc(axes: Any, y: Floats, scores: Mapping[str, Floats]) -> None:
    for name, p in scores.items():
        churned, stayed = _counts_above(y, p)
        axes.plot(stayed / max(stayed[-1], 1), churned / max(churned[-1], 1), label=f"{name}, AUC {auc(y, p):.3f}")
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="drawing lots, AUC 0.500")
    axes.legend(loc="lower right")
    _shares(axes, x="share of those who stayed that are flagged", y="share of the churners that are flagged")
    axes.set(title="ROC curve, test side")


def _precision_recall(axes: Any, y: Floats, scores: Mapping[str, Floats]) -> None:
    for name, p in scores.items():
        churned, stayed = _counts_above(y, p)
        label = f"{name}, average precision {pr_auc(y, p):.3f}"
        axes.plot(churned[1:] / max(churned[-1], 1), churned[1:] / (churned + stayed)[1:], label=label)
    axes.axhline(float(y.mean()), linestyle=":", color="grey", label=f"drawing lots, {y.mean():.1%}")
    axes.legend(loc="upper right")
    _shares(axes, x="recall: share of the churners that are flagged", y="precision: share of the flagged that churned")
    axes.set(title="Precision and recall, test side")


def _gain(axes: Any, y: Floats, scores: Mapping[str, Floats]) -> None:
    shares = np.linspace(0, 1, _N_GRID)
    for name, p in scores.items():
        axes.plot(shares, cumulative_gain(y, p, shares), label=name)
    axes.plot([0, y.mean(), 1], [0, 1, 1], linestyle="--", color="grey", label="knowing who churns")
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="drawing lots")
    foremost = next(iter(scores.values()))
    for share in _SHOWN_SHARES:
        caught = float(cumulative_gain(y, foremost, np.array([share]))[0])
        axes.plot(share, caught, "o", color="C0")
        axes.annotate(f"{caught:.0%} of the churners", (share, caught), xytext=(10, -12), textcoords="offset points")
    axes.legend(loc="lower right")
    _shares(axes, x="share of the accounts contacted, highest scores first", y="share of the churners among them")
    axes.set(title="Cumulative gain, test side")


def _lift(axes: Any, y: Floats, scores: Mapping[str, Floats]) -> None:
    shares = np.linspace(0.01, 1, _N_GRID)
    lifts = {name: cumulative_gain(y, p, shares) / shares for name, p in scores.items()}
    for name, lift in lifts.items():
        axes.plot(shares, lift, label=name)
    axes.axhline(1, linestyle=":", color="grey", label="drawing lots")
    axes.legend()
    _shares(axes, x="share of the accounts contacted, highest scores first", y="")
    axes.yaxis.set_major_formatter("{x:g} x")
    axes.set(
        ylabel=f"their churn rate over that of all ({y.mean():.1%})",
        ylim=(0, 1.1 * max(1.0, *(lift.max() for lift in lifts.values()))),
    )
    axes.set(title="Lift, test side")


def _calibration(axes: Any, calibration: Mapping[str, Any]) -> None:
    """What was said against what happened; the dotted line is where both agree."""
    for stage, colour in (("before", "C1"), ("after", "C0")):
        found = calibration[stage]
        said = np.array([row["mean_probability"] for row in found["reliability"]])
        seen = np.array([row["churn_rate"] for row in found["reliability"]])
        low, high = np.array([row["interval"] for row in found["reliability"]]).T
        mean = f"mean {100 * found['mean_error']:+.1f} points"
        slope = "" if found["slope"] is None else f": slope {found['slope']:.2f}, {mean}"
        errors = np.maximum([seen - low, high - seen], 0)
        axes.errorbar(said, seen, errors, fmt="o-", capsize=3, color=colour, label=f"{stage} calibration{slope}")
    end = min(1.0, 1.1 * max(axes.get_xlim()[1], axes.get_ylim()[1]))
    axes.plot([0, end], [0, end], linestyle=":", color="grey", label="right")
    axes.legend(loc="upper left")
    _shares(axes, x="mean predicted probability of a tenth of the accounts", y="their churn rate, 95 % interval")
    axes.set(title="Calibration, test side", xlim=(0, end), ylim=(0, end))


def _scores(axes: Any, y: Floats, p: Floats) -> None:
    """Shares of each class, on one grid: with equal areas the classes compare, however rare churn is."""
    edges = np.linspace(0, max(float(np.quantile(p, 0.999)) * 1.05, 0.05) if p.size else 1, 41)
    for label, name in ((0.0, "stayed"), (1.0, "churned")):
        some = p[y == label]
        weights = np.full(some.size, 1 / max(some.size, 1))
        axes.hist(
            np.minimum(some, edges[-1]),
            bins=edges,
            weights=weights,
            alpha=0.6,
            label=f"{name}: {some.size:,}, mean {_mean(some)}",
        )
    axes.legend()
    axes.xaxis.set_major_formatter(_percent)
    axes.yaxis.set_major_formatter(_percent)
    axes.set(xlabel="calibrated churn probability", ylabel="share of the class", title="Scores by class, test side")


def _mean(p: Floats) -> str:
    return f"{p.mean():.1%}" if p.size else "-"


def _shares(axes: Any, *, x: str, y: str) -> None:
    """Both axes in percent, from 0 to 1."""
    axes.xaxis.set_major_formatter(_percent)
    axes.yaxis.set_major_formatter(_percent)
    axes.set(xlabel=x, ylabel=y, xlim=(0, 1.01), ylim=(0, 1.02))
    axes.grid(alpha=0.3)


def _percent(value: float, _position: int) -> str:
    return f"{100 * value:.4g} %"


def _bars(axes: Any, ranked: dict[str, float], label: str, title: str) -> None:
    _fit_to_names(axes)
    shown = list(ranked.items())[:_N_SHOWN][::-1]
    axes.barh([_plain(name) for name, _ in shown], [value for _, value in shown])
    axes.set(xlabel=label, title=title if len(ranked) <= _N_SHOWN else f"{title}: the first {_N_SHOWN} features")


def _beeswarm(axes: Any, summary: ShapSummary) -> None:
    """One strip per feature; the colour is the rank of the value, grey where missing."""
    _fit_to_names(axes)
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
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set(
        xlabel="SHAP value (log-odds): right of 0 raises the risk", title="What moves the score, account by account"
    )
    axes.text(
        1,
        -0.13,
        "red: high value or last level, blue: low or first, grey: missing",
        ha="right",
        fontsize=8,
        transform=axes.transAxes,
    )


def _fit_to_names(axes: Any) -> None:
    """Margins as wide as the names of features ask for; to find them takes as long as to draw."""
    axes.figure.set_layout_engine("constrained")


def _plain(name: str) -> str:
    """Matplotlib would read two dollar signs as mathematics."""
    return name[:40].replace("$", r"\$")
