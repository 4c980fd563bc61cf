"""Help in choosing whom to contact: what each cut-off and each top share catches, and what it earns."""

from math import isfinite
from typing import Any

import numpy as np

from app.ml.frame import Floats
from app.ml.judgement import Evidence, plain
from app.schemas.config import EvaluationConfig, ProfitConfig
from app.stats.arrays import Ints, cluster_codes
from app.stats.profit import Payoffs, best_cut, candidate_cuts, mean_estimate
from app.stats.proportions import Proportion
from app.stats.targeting import Lift, target_at
from app.stats.thresholds import top_cut

PROBABILITIES = tuple(step / 20 for step in range(1, 20))  # .05, .10, ... .95
TOP_SHARES = (0.01, 0.05, *(step / 10 for step in range(1, 11)))
NO_PROFIT_HINT = (
    "The policy states no assumptions: set evaluation.profit (value_per_account, contact_cost, save_rate) with "
    "PUT /gate/policy, or in the request for an advisory answer."
)
FLATTERED = (
    "The best cut-off was chosen on the rows it is shown on: its profit and interval flatter it. `optimism` is by how "
    "much, on average over resampled accounts, and `corrected` the profit less that. The break-even probability owes "
    "nothing to these rows, only to the assumptions."
)


def draw_curves(evidence: Evidence, config: EvaluationConfig, *, seed: int = 0) -> dict[str, Any]:
    """The threshold table, the gain table and the profit curve of a model's judged rows, as plain data.

    Parameters
    ----------
    evidence : Evidence
        Labels, probabilities and accounts; scores of the active accounts, of which each cut-off's share is told.
    config : EvaluationConfig
        Its confidence, and its assumptions on profit; without these `profit` is None.
    seed : int
        Of the resamples that tell the optimism.
    """
    y, p = evidence.y, evidence.p_model
    return {
        "n": y.size,
        "n_churners": int((y == 1).sum()),
        "confidence": config.confidence,
        "thresholds": [_row(evidence, cut, config) for cut in PROBABILITIES],
        "gain": [{"top_share": top, **_row(evidence, top_cut(p, round(top * y.size)), config)} for top in TOP_SHARES],
        "profit": None if config.profit is None or not y.size else _profit(evidence, config.profit, config, seed=seed),
        "hint": NO_PROFIT_HINT if config.profit is None else None,
    }


def _row(evidence: Evidence, cut: float, config: EvaluationConfig) -> dict[str, Any]:
    found = target_at(evidence.y, evidence.p_model, cut, evidence.accounts)
    precision = found.precision.value if found.precision else 0.0
    return {
        "cut": found.cut,
        "n_flagged": found.n_flagged,
        "share": found.share,
        "active_share": _share_at(evidence.active_scores, cut),
        "contacts_per_churner": 1 / precision if precision else None,
        **{name: _told(getattr(found, name), config) for name in ("precision", "recall", "lift")},
    }


def _told(found: Proportion | Lift | None, config: EvaluationConfig) -> dict[str, Any] | None:
    return None if found is None else plain({"estimate": found.value, "interval": found.interval(config.confidence)})


def _share_at(scores: Floats, cut: float) -> float | None:
    return float((scores >= cut).mean()) if scores.size else None


def _profit(evidence: Evidence, assumed: ProfitConfig, config: EvaluationConfig, *, seed: int) -> dict[str, Any]:
    """Profit per judged row by cut-off; the break-even cut-off, and the best one with how much of it is luck."""
    y, p = evidence.y, evidence.p_model
    payoffs, cuts, codes = payoffs_of(assumed), candidate_cuts(p), cluster_codes(evidence.accounts, y.size)

    def earned(cut: float) -> dict[str, Any]:
        return _earned(evidence, cut, payoffs, codes, config)

    best = best_cut(
        y,
        p,
        payoffs,
        cuts=cuts,
        rng=np.random.default_rng(seed),
        clusters=codes,
        confidence=config.confidence,
    )
    return {
        "assumptions": assumed.model_dump(mode="json"),
        "unit": "money per account judged",
        "curve": [earned(float(cut)) for cut in cuts[::-1]],
        "break_even": {
            "probability": plain(payoffs.break_even),
            **earned(payoffs.break_even),
        },
        "best": {
            **earned(best.cut),
            "optimism": best.optimism,
            "corrected": best.profit.value - best.optimism,
            "cut_interval": list(best.cut_interval),
        },
        "note": FLATTERED,
    }


def payoffs_of(assumed: ProfitConfig) -> Payoffs:
    """The cost matrix of these assumptions."""
    return Payoffs.of_contacting(assumed.value_per_account, assumed.contact_cost, assumed.save_rate)


def _earned(evidence: Evidence, cut: float, payoffs: Payoffs, codes: Ints, config: EvaluationConfig) -> dict[str, Any]:
    flagged = evidence.p_model >= cut
    found = mean_estimate(payoffs.of(evidence.y, flagged), codes)
    told = {
        "cut": cut if isfinite(cut) else None,
        "share": float(flagged.mean()),
        "active_share": _share_at(evidence.active_scores, cut),
        "profit": found.value,
        "interval": found.interval(config.confidence),
    }
    return {name: plain(value) for name, value in told.items()}
