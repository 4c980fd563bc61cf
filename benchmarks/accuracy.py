"""How well each kind of model does on real data, beside its peers: python -m benchmarks.accuracy [--peers PYTHON].

Three data sets, each with several test sides; every model gets the same rows. The peers need an environment of their
own, for they ask for other versions of what is here:

    python -m venv peers && peers/bin/pip install -r benchmarks/peers.txt
    python -m benchmarks.accuracy --peers peers/bin/python

Without it the table has the kinds of this project, and plain XGBoost.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.split import deal_sides
from app.ml.trainer import train
from app.schemas.config import ModelConfig, ModelType, TrainingConfig
from app.stats.calibration import calibration_line, log_loss
from app.stats.ranking import auc

PEERS = ("catboost", "ebm", "flaml")  # the last one gets the seconds that `auto` took
TARGET = 0.003  # AUC that `auto` may lie below the best of its row


@dataclass(frozen=True)
class Case:
    """One test side: the rows of a data set, and which of them judge."""

    data: str
    side: str
    frame: Frame
    features: tuple[Feature, ...]
    test: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @property
    def y(self) -> Floats:
        """1 churned, 0 stayed, of all rows."""
        return np.asarray(self.frame.churned, dtype=np.float64)


@dataclass(frozen=True)
class Result:
    """What a model made of one test side."""

    data: str
    model: str
    auc: float
    log_loss: float
    slope: float
    seconds: float


# ---- data ----------------------------------------------------------------------------------------------------------


def telco_cases(folder: Path, n_sides: int) -> Iterator[Case]:
    """Random stratified fifths of an undated table."""
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, null_values=["", " "])
    table = pyarrow.csv.read_csv(folder / "telco_ibm" / "telco_ibm.csv", convert_options=options)
    frame, features = _frame(table.drop_columns(["Churn"]), "customerID", pc.equal(table["Churn"], "Yes"))
    for seed in range(n_sides):
        sides = deal_sides(frame.accounts.to_pylist(), np.asarray(frame.churned, dtype=np.float64), seed=seed)
        yield Case("telco", f"seed {seed}", frame, features, np.asarray(sides == "test"))


def dated_cases(folder: Path, name: str, horizon_days: int, n_sides: int) -> Iterator[Case]:
    """The newest instants in turn, each after all that had ended by then."""
    table = pq.read_table(folder / name / "snapshots_reference.parquet")
    as_of = np.asarray(table["as_of"].to_numpy(), dtype="datetime64[us]")
    span = np.timedelta64(horizon_days, "D")
    for instant in [each for each in np.unique(as_of)[::-1] if (as_of + span <= each).any()][:n_sides]:
        judges, teaches = as_of == instant, as_of + span <= instant
        rows = np.flatnonzero(judges | teaches)
        part = table.take(pa.array(rows))
        frame, features = _frame(part.drop_columns(["churn"]), "acct", pc.equal(part["churn"], 1), "as_of")
        yield Case(name.split("_events", maxsplit=1)[0], str(instant)[:10], frame, features, judges[rows])


def _frame(
    table: pa.Table, account: str, churned: pa.ChunkedArray, as_of: str | None = None
) -> tuple[Frame, tuple[Feature, ...]]:
    columns, features = {}, []
    for name in table.column_names:
        if name in (account, as_of):
            continue
        values = table[name].combine_chunks()
        text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        columns[name] = values.cast(pa.string() if text else pa.float64())
        features.append(Feature(name, FeatureKind.CATEGORICAL if text else FeatureKind.NUMERIC))
    frame = Frame(
        accounts=table[account].combine_chunks().cast(pa.string()),
        features=pa.table(columns),
        churned=np.asarray(churned.to_numpy(), dtype=np.float64),
        as_of=None if as_of is None else table[as_of].combine_chunks().cast(pa.timestamp("us", tz="UTC")),
    )
    return frame, tuple(features)


# ---- models --------------------------------------------------------------------------------------------------------


def fit_kind(case: Case, kind: ModelType, n_threads: int) -> tuple[Floats, float]:
    """Probabilities of the test rows by the whole training of this project, and its seconds."""
    started = time.perf_counter()
    result = train(
        case.frame,
        _sides(case),
        case.features,
        ModelConfig(model_type=kind),
        TrainingConfig(shap=False),
        profile_rows=~case.test,
        progress=lambda step, share: None,
        n_threads=n_threads,
    )
    return result.primary.test_probabilities, time.perf_counter() - started


def _sides(case: Case) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """A fourth of the accounts that teach are told as validation, which changes nothing in the model."""
    accounts = np.asarray(case.frame.accounts.to_pylist(), dtype=object)
    names = np.unique(accounts)
    tuning = np.random.default_rng(0).random(names.size) < 0.25
    sides = np.where(tuning[np.searchsorted(names, accounts)], "validation", "train").astype("<U10")
    sides[case.test] = "test"
    return sides


def fit_plain_xgboost(case: Case, n_threads: int) -> tuple[Floats, float]:
    """A hundred rounds of depth 6 at .1 on one-hot columns, no calibration: what most scripts do."""
    import pandas as pd
    import xgboost as xgb

    started = time.perf_counter()
    X = pd.get_dummies(case.frame.features.to_pandas()).astype(float).replace([np.inf, -np.inf], np.nan)
    model = xgb.XGBClassifier(n_estimators=100, max_depth=6, learning_rate=0.1, n_jobs=n_threads, random_state=0)
    model.fit(X[~case.test], case.y[~case.test])
    return np.asarray(model.predict_proba(X[case.test])[:, 1], dtype=np.float64), time.perf_counter() - started


def fit_peers(case: Case, python: Path, peers: list[str], flaml_seconds: float) -> Mapping[str, tuple[Floats, float]]:
    """Probabilities of the test rows by other projects' defaults, made by another Python."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as name:
        folder = Path(name)
        table = case.frame.features.append_column("__churned", pa.array(case.y))
        pq.write_table(table.append_column("__test", pa.array(case.test)), folder / "rows.parquet")
        script = Path(__file__).with_name("peers.py")
        command = [str(python), str(script), str(folder), f"{max(flaml_seconds, 10):.0f}", *peers]
        subprocess.run(command, check=True, timeout=1800, cwd=folder)
        found = np.load(folder / "answers.npz")
        return {peer: (found[peer], float(found[f"{peer}_seconds"])) for peer in peers}


# ---- table ---------------------------------------------------------------------------------------------------------


def run_case(
    case: Case, kinds: list[ModelType], python: Path | None, peers: list[str], n_threads: int
) -> Iterator[Result]:
    """Every model on one test side."""
    seconds_of_auto = 10.0
    for kind in kinds:
        p, seconds = fit_kind(case, kind, n_threads)
        seconds_of_auto = seconds if kind.value == "auto" else seconds_of_auto
        yield _judged(case, kind.value, p, seconds)
    yield _judged(case, "xgboost, plain", *fit_plain_xgboost(case, n_threads))
    if python is not None:
        for peer, (p, seconds) in fit_peers(case, python, peers, seconds_of_auto).items():
            yield _judged(case, peer, p, seconds)


def _judged(case: Case, model: str, p: Floats, seconds: float) -> Result:
    y = case.y[case.test]
    return Result(case.data, model, auc(y, p), log_loss(y, p), calibration_line(y, p).slope, seconds)


def print_table(results: list[Result]) -> None:
    """Means over the test sides, best AUC first, one block a data set."""
    for data in dict.fromkeys(each.data for each in results):
        rows = [each for each in results if each.data == data]
        models = list(dict.fromkeys(each.model for each in rows))
        means = {model: _means([each for each in rows if each.model == model]) for model in models}
        best = max(figures["auc"] for figures in means.values())
        print(f"\n{data}: mean of {len(rows) // len(models)} test sides")
        print(f"{'model':<16} {'AUC':>6} {'to best':>8} {'log-loss':>9} {'slope':>6} {'seconds':>8}")
        for model in sorted(models, key=lambda name: -means[name]["auc"]):
            told = means[model]
            late = "  <- more than .003 below" if model == "auto" and best - told["auc"] > TARGET else ""
            print(
                f"{model:<16} {told['auc']:>6.4f} {told['auc'] - best:>+8.4f} {told['log_loss']:>9.4f} "
                f"{told['slope']:>6.2f} {told['seconds']:>8.1f}{late}"
            )


def _means(rows: list[Result]) -> dict[str, float]:
    names = ("auc", "log_loss", "slope", "seconds")
    return {name: float(np.mean([getattr(row, name) for row in rows])) for name in names}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the three data sets are")
    parser.add_argument("--peers", type=Path, help="the Python of the peers' environment")
    parser.add_argument("--peer-models", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--sets", nargs="+", default=["telco", "retail", "cdnow"], choices=["telco", "retail", "cdnow"])
    parser.add_argument("--kinds", nargs="+", type=ModelType, default=list(ModelType), help="of this project")
    parser.add_argument("--sides", type=int, default=3, help="test sides a data set")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    sources: dict[str, Callable[[], Iterator[Case]]] = {
        "telco": lambda: telco_cases(asked.data, asked.sides),
        "retail": lambda: dated_cases(asked.data, "online_retail_events", 60, asked.sides),
        "cdnow": lambda: dated_cases(asked.data, "cdnow_events", 90, asked.sides),
    }
    print(f"{datetime.now(UTC):%Y-%m-%d}, {asked.threads} threads")
    results = []
    for name in asked.sets:
        for case in sources[name]():
            python = asked.peers and asked.peers.absolute()
            for result in run_case(case, asked.kinds, python, asked.peer_models, asked.threads):
                print(f"{case.data} {case.side}: {result.model} {result.auc:.4f} in {result.seconds:.1f} s", flush=True)
                results.append(result)
    print_table(results)


if __name__ == "__main__":
    main()
