"""The model card: what a model is, what it learned from, how good it is and where its limits lie, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

_SIDES = ("train", "validation", "test", "test_known", "test_new")
_SIDE_WORDS = {
    "train": "train (in sample)",
    "validation": "validation (out of fold)",
    "test_known": "test, known accounts",
    "test_new": "test, new accounts",
}
_FIGURES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "precision": "precision",
    "recall": "recall",
    "log_loss": "log-loss",
    "brier": "Brier",
    "calibration_slope": "calibration slope",
}
_MANY_FEATURES = 15


def model_card(about: Json, report: Json) -> str:
    """Markdown of a model's report, from the numbers in it and no others.

    Parameters
    ----------
    about : mapping
        model_type, role, dataset, revision, job, experiment, label (a sentence), split (as stored with the training),
        warnings, code (version and commit).
    report : mapping
        As stored with the model.
    """
    sections = (
        _what(about, report),
        _data(about),
        _figures(report),
        _spread(report),
        _baselines(report),
        _calibration(report),
        _tiers(report),
        _features(report),
        _use(about, report),
        _made_with(about, report),
    )
    return "\n\n".join(sections) + "\n"


def _what(about: Json, report: Json) -> str:
    rounds = f", with {report['n_rounds']:,} rounds" if report["n_rounds"] > 1 else ""
    return (
        f"# Model card: {about['model_type']} ({about['role']}) on {about['dataset']}\n\n"
        f"A model of kind {about['model_type']} that gives each account of the dataset `{about['dataset']}` a "
        f"calibrated probability of churn. {about['label']} Trained by job {about['job']} on "
        f"revision {about['revision']}, experiment `{about['experiment']}`{rounds}; the "
        f"calibrator is {report['calibrator']['kind']}.{_made_of(report)}"
    )


def _made_of(report: Json) -> str:
    """Why this kind was taken, where several were compared; what a blend adds, a component of weight 0 left out."""
    choice = report.get("kind_choice")
    chosen = f"\n\nAll kinds were compared in the same folds: {choice['sentence']}" if choice else ""
    rows = [
        (each["name"], each["kind"], f"{each['n_rounds']:,}", _number(each["weight"]))
        for each in report.get("components", ())
        if each["weight"]
    ]
    added = _table(("component", "kind", "rounds", "weight of its log-odds"), rows)
    return f"{chosen}\n\n{added}" if rows else chosen


def _data(about: Json) -> str:
    split, rows = about["split"], []
    instants = split.get("instants", {})
    for side, told in split["sides"].items():
        days = ", ".join(each[:10] for each in sorted(instants.get(side, ())))
        cells = (side, f"{told['n_rows']:,}", f"{told['n_accounts']:,}", f"{told['n_churned']:,}")
        rows.append((*cells, _percent(told["churn_rate"]), days or "-"))
    how = "by time" if split["kind"] == "temporal" else "at random, by account"
    gap = f" Gaps of {split['gap_days']} days lie before validation and before test." if "gap_days" in split else ""
    at = f" All rows are those of {split['as_of'][:10]}." if split["as_of"] and not instants else ""
    end = split["information_end"]
    known = (
        f" What the development rows tell ends at {end}; rows before that are not fair to this model." if end else ""
    )
    left = split["left_out"]
    return (
        f"## Data\n\nSplit {how}, with the seed {split['seed']}.{at}{gap}{known} Left out: {left['n_immature']:,} rows "
        f"whose outcome was still open, {left['n_unlabelled']:,} without a label.\n\n"
        + _table(("side", "rows", "accounts", "churned", "churn rate", "instants"), rows)
    )


def _figures(report: Json) -> str:
    metrics, intervals = report["metrics"], report["intervals"]
    rows = [
        (
            _SIDE_WORDS.get(side, side),
            *(_with_interval(metrics[side][name], intervals.get(side, {}).get(name)) for name in _FIGURES),
        )
        for side in _SIDES
        if side in metrics
    ]
    share = metrics["test"]["top_share"]
    return (
        "## Figures\n\n95 % intervals in brackets, clustered by account. Precision and recall flag the "
        f"{_percent(share)} of the accounts with the highest probabilities: the churn rate of the development rows. "
        "The test side played no part in the training.\n\n" + _table(("side", *_FIGURES.values()), rows)
    )


def _spread(report: Json) -> str:
    folds = report["cross_validation"]
    rows = [
        (word, _number(folds["mean"][name]), _number(folds["sd"][name]))
        for name, word in _FIGURES.items()
        if name in folds["mean"]
    ]
    told = f"## Spread\n\n{folds['n_folds']} folds of the development rows, grouped by account, stratified.\n\n"
    return told + _table(("figure", "mean of folds", "sd"), rows) + "\n\n" + _time(report["rolling_origins"])


def _time(rolled: Json | None) -> str:
    if not rolled or not rolled["origins"]:
        return f"No scores through time. {(rolled or {}).get('reason') or 'None were asked for.'}"
    rows = [
        (
            each["as_of"][:10],
            f"{each['n_fit']:,}",
            f"{each['n']:,}",
            _with_interval(each["roc_auc"], each["roc_auc_interval"]),
            _number(each["log_loss"]),
            f"{_points(each['mean_error'])}{_brackets(each['mean_error_interval'], _points)}",
        )
        for each in rolled["origins"]
    ]
    spread = ", ".join(
        f"{word} {_number(rolled['mean'][name])} (sd {_number(rolled['sd'][name])})"
        for name, word in (("roc_auc", "AUC"), ("log_loss", "log-loss"), ("mean_error", "mean error"))
    )
    head = ("origin", "rows learned from", "rows scored", "ROC AUC", "log-loss", "mean error, points")
    told = f"Through time. {rolled['method']} The mean error is the mean probability minus the churn rate."
    return f"{told}\n\n{_table(head, rows)}\n\nOver the origins: {spread}."


def _baselines(report: Json) -> str:
    rows = []
    for each in report["baselines"]:
        for who, found in ((each["words"], each), ("the model, as many accounts", each["model"])):
            cells = (
                _with_interval(found["metrics"][name], found["intervals"][name])
                for name in ("roc_auc", "precision", "recall", "lift")
            )
            rows.append((who, f"{found['n_flagged']:,}", *cells))
    head = ("on the test side", "flagged", "ROC AUC", "precision", "recall", "lift")
    sentences = "\n".join(f"- {each['sentence']}" for each in report["baselines"])
    return f"## Against the baselines\n\n{sentences}\n\n{_table(head, rows)}"


def _calibration(report: Json) -> str:
    rows = []
    for side, stages in report["calibration"].items():
        for stage, found in stages.items():
            cells = [
                _with_interval(found[name], found[f"{name}_interval"]) for name in ("slope", "intercept", "brier_skill")
            ]
            mean = f"{_points(found['mean_error'])}{_brackets(found['mean_error_interval'], _points)}"
            rows.append((side, stage, *cells[:2], mean, _number(found["brier"]), cells[2]))
    head = ("side", "calibration", "slope", "intercept", "mean error, points", "Brier", "Brier skill")
    table = [
        (
            f"{row['n']:,}",
            _percent(row["mean_probability"]),
            f"{_percent(row['churn_rate'])}{_brackets(row['interval'], _percent)}",
        )
        for row in report["calibration"]["test"]["after"]["reliability"]
    ]
    return (
        "## Calibration\n\nSlope 1 and intercept 0 are right; the skill is against the base rate. The calibrator was "
        "fitted on the out-of-fold rows, validation among them; the test side it never saw.\n\n"
        f"{_table(head, rows)}\n\nWhat was said and what happened, test side:\n\n"
        + _table(("rows", "mean probability", "churn rate"), table)
    )


def _tiers(report: Json) -> str:
    rows = [
        (
            row["tier"],
            f"{row['n']:,}",
            _percent(row["share"]),
            f"{_percent(row['churn_rate'])}{_brackets(row['interval'], _percent)}",
            _percent(row["share_of_churners"]),
        )
        for row in report["tiers"]
    ]
    warnings = "".join(f"\n\n{each['sentence']}" for each in report["tier_warnings"])
    head = ("tier", "rows", "share", "churn rate", "share of the churners")
    return f"## Tiers\n\nBy the default policy, out-of-fold validation rows.\n\n{_table(head, rows)}{warnings}"


def _features(report: Json) -> str:
    shap = (report["shap"] or {}).get("mean_absolute", {})
    rows = [
        (name, _percent(share), _number(shap.get(name)))
        for name, share in list(report["importances"].items())[:_MANY_FEATURES]
    ]
    unused = [each["name"] for each in report["features"] if not each["used"]]
    told = f"{len(report['features'])} features, {len(unused)} of them left out for saying nothing or naming accounts."
    return f"## Features\n\n{told}\n\n" + _table(("feature", "importance", "mean absolute SHAP value (log-odds)"), rows)


def _use(about: Json, report: Json) -> str:
    estimated = ", by an estimate" if (report["shap"] or {}).get("method") == "estimate" else ""
    limits = [
        "The figures hold for accounts like those of the test side; where the world moves they age. Drift and outcomes "
        "are watched with `POST /monitor`.",
        "A score says who is likely to churn, not who would stay if contacted.",
        f"Reasons say what moved the model's score{estimated}. They are no causes.",
        *about["warnings"],
    ]
    return (
        "## Intended use and limits\n\nTo rank the accounts of this dataset by their risk, and to plan contacts by it. "
        "Not for accounts of another business, nor for decisions about people that the law reserves to people.\n\n"
        + "\n".join(f"- {each}" for each in limits)
        + "\n\n## How to score\n\n"
        f'`POST /models {{"job_id": {about["job"]}, "model": "{about["role"]}"}}` makes it a version; '
        '`POST /score {"version": "NUMBER", "accounts": [{"account_id": "..."}]}` scores accounts, '
        '`POST /score/batches {"version": "NUMBER"}` all active ones. A version in Production is found by '
        f'`"dataset": "{about["dataset"]}"` instead.'
    )


def _made_with(about: Json, report: Json) -> str:
    code = about["code"]
    parameters = ", ".join(f"{name}={value}" for name, value in report["parameters"].items()) or "none"
    libraries = ", ".join(f"{name} {version}" for name, version in report["libraries"].items())
    return (
        f"## Made with\n\nholdfast {code['version'] or 'of unknown version'}, commit {code['commit'] or 'unknown'}; "
        f"{libraries}. Parameters: {parameters}. Training data SHA-256 `{report['training_data_hash']}`."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    """Text in a table: a bar would end the cell, a line break the table."""
    return " ".join(text.replace("|", r"\|").split())


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.1f}"


def _brackets(interval: Sequence[float] | None, word: Any) -> str:
    return "" if interval is None else f" ({word(interval[0])} to {word(interval[1])})"


def _with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    return f"{_number(value)}{'' if value is None else _brackets(interval, _number)}"
