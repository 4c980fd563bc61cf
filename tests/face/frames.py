"""Frames with a planted truth, as a data scientist would have them."""

import numpy as np
import pandas as pd


def planted_frame(n: int = 1500, seed: int = 0) -> tuple[pd.DataFrame, "pd.Series[int]"]:
    """Tenure and autopay lower the risk, the basic plan raises it; tenure is missing here and there."""
    rng = np.random.default_rng(seed)
    tenure = rng.gamma(2.0, 10.0, n)
    plan = rng.choice(["basic", "plus", "pro"], n, p=[0.5, 0.3, 0.2])
    autopay = rng.random(n) < 0.6
    log_odds = 0.6 - 0.09 * tenure + 1.2 * (plan == "basic") - 1.0 * autopay
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int)
    X = pd.DataFrame({"tenure": tenure, "plan": plan, "autopay": autopay})
    X.loc[rng.random(n) < 0.05, "tenure"] = np.nan
    return X, pd.Series(y, index=X.index, name="churned")
