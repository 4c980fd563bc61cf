"""Fit other projects' models by their defaults: run by the Python of their own environment, see benchmarks.accuracy."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def _catboost(X: pd.DataFrame, y: Any, X_test: pd.DataFrame, text: list[str], seconds: float) -> Any:
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(verbose=False, random_seed=0, allow_writing_files=False, thread_count=2)
    return model.fit(X, y, cat_features=text).predict_proba(X_test)[:, 1]


def _ebm(X: pd.DataFrame, y: Any, X_test: pd.DataFrame, text: list[str], seconds: float) -> Any:
    from interpret.glassbox import ExplainableBoostingClassifier

    return ExplainableBoostingClassifier(random_state=0, n_jobs=2).fit(X, y).predict_proba(X_test)[:, 1]


def _flaml(X: pd.DataFrame, y: Any, X_test: pd.DataFrame, text: list[str], seconds: float) -> Any:
    from flaml import AutoML

    model = AutoML()
    model.fit(X, y, task="classification", metric="log_loss", time_budget=seconds, seed=0, verbose=0, n_jobs=2)
    return model.predict_proba(X_test)[:, 1]


MODELS = {"catboost": _catboost, "ebm": _ebm, "flaml": _flaml}


def main() -> None:
    """Read rows.parquet of a folder, write answers.npz: probabilities of its test rows and seconds by model."""
    folder, seconds, names = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    rows = pd.read_parquet(folder / "rows.parquet")
    y, test = rows.pop("__churned").to_numpy().astype(int), rows.pop("__test").to_numpy()
    text = [name for name in rows.columns if not pd.api.types.is_numeric_dtype(rows[name])]
    rows[text] = rows[text].astype(object).where(rows[text].notna(), "missing").astype(str)
    rows = rows.replace([np.inf, -np.inf], np.nan)
    answers = {}
    for name in names:
        started = time.perf_counter()
        answers[name] = MODELS[name](rows[~test], y[~test], rows[test], text, seconds)
        answers[f"{name}_seconds"] = time.perf_counter() - started
    np.savez(folder / "answers.npz", **answers)


if __name__ == "__main__":
    main()
