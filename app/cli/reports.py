"""The answers of the service as tables for people: the gate, accounts at risk, the monitor, history, a comparison."""

import json
from collections.abc import Iterable, Sequence

from rich.markup import escape

from app.cli.commands import in_commands
from app.cli.terminal import Json, coloured, interval, number, say, say_next, share, show_table, threshold, when


def show_gate(evaluation: Json) -> None:
    """The gate's checks and what it recommends, in words."""
    rows = [
        [
            escape(check["name"]),
            number(check["estimate"]),
            interval(check["interval"]),
            threshold(check["threshold"]),
            coloured(check["verdict"]),
            escape(check["sentence"]),
        ]
        for check in evaluation["checks"]
    ]
    title = f"The gate on version {evaluation['version']}"
    show_table(title, ["check", "estimate", "interval", "threshold", "verdict", "in words"], rows)
    say(f"The gate says {evaluation['recommendation']}{', provisionally' if evaluation['provisional'] else ''}.")
    for sentence in evaluation["sentences"]:
        say(in_commands(sentence))


def show_evaluation(evaluation: Json) -> None:
    """The same on the command line, with what to type next."""
    show_gate(evaluation)
    if evaluation["next"]:
        say_next(*map(in_commands, evaluation["next"]))


def show_split(split: Json) -> None:
    """Which instants teach, tune and judge, and how many rows and churners each side has."""
    instants = split.get("instants", {})
    rows = [
        [
            side,
            ", ".join(each[:10] for each in reversed(instants.get(side, []))) or "-",
            f"{told['n_rows']:,}",
            f"{told['n_churned']:,}",
            share(told["churn_rate"]),
        ]
        for side, told in split["sides"].items()
    ]
    title = "Split by time" if split["kind"] == "temporal" else "Split at random, by account"
    show_table(title, ["side", "instants", "rows", "churned", "churn rate"], rows)


def show_accounts(accounts: Iterable[Json], title: str) -> None:
    """Accounts with their risk and the reasons in words."""
    rows = [
        [
            escape(account["account_id"]),
            share(account["churn_probability"]),
            coloured(account["risk_tier"]),
            "; ".join(escape(reason["text"]) for reason in account["reasons"]),
        ]
        for account in accounts
    ]
    show_table(title, ["account", "churn probability", "tier", "reasons, the strongest first"], rows)


def show_run(run: Json) -> None:
    """What a scoring run did: how many accounts, and its tiers."""
    rows = [
        [
            coloured(tier["tier"]),
            f"{tier['n']:,}",
            share(tier["share"]),
            number(tier["expected_churners"], 0),
            share(tier["share_of_churners"]),
        ]
        for tier in run["tiers"] or []
    ]
    title = f"Run {run['run_id']}: {run['n_accounts_scored']:,} accounts scored by version {run['version']}"
    show_table(title, ["tier", "accounts", "share", "churners expected", "of all churners"], rows)
    for warning in run["warnings"] or []:
        say(f"Note: {warning['sentence']}")


def show_scoring(run: Json) -> None:
    """The same on the command line, with what to type next."""
    show_run(run)
    check = f"holdfast monitor --dataset {run['dataset']} --save"
    say_next(check if run["current"] else f"holdfast compare --version1 champion --version2 {run['version']}")


def show_monitor(report: Json, n_features: int = 10) -> None:
    """The monitor's verdict, the features that moved furthest, and what to do."""
    furthest = sorted(report["features"], key=lambda item: -item["psi"])[:n_features]
    measured = [item for item in [report["score_drift"], *furthest] if item]
    rows = [
        [
            escape(item["name"]),
            number(item["psi"]),
            coloured(item["state"].replace("_", " ")),
            share(item["missing_before"]),
            share(item["missing_after"]),
            share(item["unseen"]),
        ]
        for item in measured
    ]
    columns = ["feature", "PSI", "state", "missing before", "missing now", "unseen levels"]
    show_table(f"Version {report['version']}, run {report['run_id']}", columns, rows)
    say(f"Health: {report['health_status']}.")
    for action in report["recommended_actions"]:
        say(f"- {action}")


def show_revision(revision: Json) -> None:
    """What was understood of an upload."""
    rows = [
        [
            escape(column["name"]),
            escape(column["kind"]),
            share(column["missing_share"]),
            escape(column["excluded"] or column["note"] or ""),
        ]
        for column in revision["columns"]
    ]
    title = f"Revision {revision['number']} of {revision['dataset']}: {revision['n_rows']:,} rows"
    show_table(title, ["column", "kind", "missing", "remark"], rows)
    say(f"{revision['n_labelled']:,} rows have a known outcome, {revision['n_churned']:,} of them churned.")
    for warning in revision["warnings"]:
        say(f"Note: {warning}")
    say_next(f"holdfast train --dataset {revision['dataset']} --register")


def show_facts(told: Json) -> None:
    """What was understood of a file of facts."""
    there = "was there already" if told["already_there"] else f"added {told['n_rows_added']:,} rows"
    span = f", {when(told['first_at'])} to {when(told['last_at'])}" if told["first_at"] else ""
    counted = f"{told['n_rows']:,} rows of {told['fact']}{span}"
    say(f"Revision {told['revision']} of {told['dataset']}: the file {there}; {counted}.")
    if told["kinds"]:
        rows = [
            [escape(each["kind"]), *(f"{each[n]:,}" for n in ("n", "n_quantity", "n_amount"))] for each in told["kinds"]
        ]
        show_table("Kinds of event", ["kind", "events", "with a quantity", "with an amount"], rows[:20])
    for warning in told["warnings"]:
        say(f"Note: {warning}")
    if told["missing"]:
        return say_next(*(f"holdfast import FILE --name {told['dataset']} --fact {fact}" for fact in told["missing"]))
    say(f"All facts together are known until {when(told['known_until'])}.")
    return say_next(f"holdfast train --dataset {told['dataset']} --register")


def show_features(told: Json) -> None:
    """Features with what they mean."""
    rows = [
        [escape(each["name"]), escape(each["words"]), each["unit"], "yes" if each["actionable"] else ""]
        for each in told["features"]
    ]
    title = f"Features of {told['dataset']}, revision {told['revision']}"
    show_table(title, ["feature", "what it means", "unit", "actionable"], rows)
    if told["other_kinds"]:
        say(f"Counted as other: {', '.join(map(escape, told['other_kinds']))}.")


def show_leaks(told: Json) -> None:
    """What the probes found, and what to do."""
    if not told["findings"]:
        return say(f"No feature of {told['dataset']} (revision {told['revision']}) seems to know the outcome.")
    rows = [
        [escape(each["name"]), coloured(each["level"]), escape(each["sentence"]), escape(each["remedy"])]
        for each in told["findings"]
    ]
    show_table(f"Leaks in {told['dataset']}", ["finding", "level", "what was seen", "what to do"], rows)
    say_next(
        "holdfast train --exclude-feature NAME   leaves it out",
        "holdfast train --accept-leak FINDING    where it is honest",
    )
    return None


def show_dataset(dataset: Json) -> None:
    """A dataset that was made, and what its queries returned, where it has any."""
    say(f"Dataset {dataset['name']} of kind {dataset['kind']} is made.")
    understood = dataset["understood"]
    if understood is None:
        return
    rows = [
        [escape(column["name"]), escape(column["type"]), escape(column["kind"]), escape(column["excluded"] or "")]
        for column in understood["columns"]
    ]
    show_table(f"The features at {when(understood['as_of'])}", ["column", "type", "kind", "remark"], rows)
    say(
        f"{understood['n_rows']:,} accounts, {understood['n_labelled']:,} of them with a label, "
        f"{understood['n_churned']:,} churned."
    )
    for warning in understood["warnings"]:
        say(f"Note: {warning}")
    say_next(f"holdfast train --dataset {dataset['name']} --register")


def show_training(result: Json) -> None:
    """Both models on all sides, and how they compare."""
    rows = [
        [escape(f"{role}: {result[role]['model_type']}"), side, *(number(figures[name]) for name, _ in _FIGURES)]
        for role in ("primary", "baseline")
        for side, figures in _sides(result[role]["metrics"])
    ]
    show_table("Training", ["model", "side", *(title for _, title in _FIGURES)], rows)
    search = [result["search"]["summary"]] if result["search"] else []
    told = [each["sentence"] for each in result["primary"]["baselines"] or [] if each["name"] == "single_rule"]
    told = [sentence for sentence in told if sentence not in result["summary"]]
    for sentence in [result["summary"], *told, *search, *result["warnings"]]:
        say(in_commands(sentence))
    if result["version"]:
        say(f"Registered as version {result['version']}.")
    say_next(*map(in_commands, result["next"]))


_FIGURES = (
    ("roc_auc", "ROC AUC"),
    ("pr_auc", "PR AUC"),
    ("log_loss", "log-loss"),
    ("brier", "Brier"),
    ("calibration_slope", "calibration slope"),
)


def _sides(metrics: Json) -> list[tuple[str, Json]]:
    names = {"train": "train (in sample)", "validation": "validation", "test": "test"}
    return [(title, metrics[side]) for side, title in names.items()]


def show_registered(version: Json) -> None:
    """The version that a trained model became."""
    verb = "Registered" if version["created"] else "Was registered already"
    say(f"{verb}: version {version['version']}, {version['model_type']}, of dataset {version['dataset']}.")
    say_next(f"holdfast evaluate --version {version['version']}")


def show_policy_in_force(told: Json) -> None:
    """The bar in force, and the document it comes from."""
    scope = f"dataset {told['dataset']}" if told["dataset"] else "datasets without a policy of their own"
    rows = [[name, escape(json.dumps(value))] for name, value in told["evaluation"].items()]
    show_table(f"The gate's policy for {scope}", ["field", "value"], rows)
    document = told["document"]
    if document is None:
        return say("No document is stored: this is what the dataset's defaults, the settings and the code say.")
    whose = f"of dataset {document['dataset']}" if document["dataset"] else "for all datasets"
    say(f"Document {document['number']} {whose}, {when(document['created_at'])}, by {document['actor']}:")
    return say(document["reason"])


def show_new_policy(document: Json) -> None:
    """A document that was just written."""
    whose = f"dataset {document['dataset']}" if document["dataset"] else "all datasets without one of their own"
    say(f"Document {document['number']} is the gate's policy for {whose}; verdicts by another one no longer hold.")
    say_next("holdfast policy show" + (f" --dataset {document['dataset']}" if document["dataset"] else ""))


def show_dry_run(found: Json) -> None:
    """What a policy would have decided, beside what was decided."""
    rows = [
        [
            str(item["version"]),
            when(item["judged_at"]),
            _decision(item["was"]),
            _decision(item["would_be"]) if item["would_be"] else escape(item["missing"] or "-"),
            escape(", ".join([*item["would_be"]["failed"], *item["would_be"]["insufficient"]]) or "-")
            if item["would_be"]
            else "-",
        ]
        for item in found["versions"]
    ]
    columns = ["version", "judged (UTC)", "it was", "it would be", "because of"]
    show_table(f"What this policy would have decided for {escape(found['dataset'])}", columns, rows)
    say(f"{found['n_changed']} of {found['n_judged_again']} verdicts would be another; nothing was changed.")


def _decision(decision: Json) -> str:
    return coloured(decision["recommendation"]) + (", provisional" if decision["provisional"] else "")


def show_promotion(entry: Json) -> None:
    """A new entry of the ledger."""
    before = f" in place of version {entry['from_version']}" if entry["from_version"] else ""
    marks = "".join(f", {mark.replace('_', ' ')}" for mark in ("forced", "provisional", "weak_evidence") if entry[mark])
    say(f"Version {entry['to_version']} is in {entry['stage']}{before} ({entry['action']}{marks}).")
    in_production = entry["stage"] == "Production"
    which = f"--dataset {entry['dataset']}" if in_production else f"--model-version {entry['to_version']}"
    say_next(f"holdfast score {which}")


def _proviso(item: Json) -> str:
    """Of a provisional champion, and what the verdict since has said."""
    if not item["provisional"]:
        return ""
    return {True: ", confirmed", False: ", not confirmed", None: ", provisional"}[item["confirmed"]]


def show_history(versions: Sequence[Json]) -> None:
    """The registered versions, newest first."""
    rows = [
        [
            str(item["version"]),
            escape(item["dataset"]),
            escape(item["model_type"] + (" (baseline)" if item["role"] == "baseline" else "")),
            number(item["test_roc_auc"]),
            escape(item["stage"] or "-") + _proviso(item),
            coloured(item["verdict"]["recommendation"]) if item["verdict"] else "-",
            escape(item["experiment"]),
            when(item["registered_at"]),
        ]
        for item in versions
    ]
    columns = ["version", "dataset", "model", "test AUC", "stage", "gate", "experiment", "registered (UTC)"]
    show_table("Versions", columns, rows)
    if not versions:
        say("Nothing is registered yet.")
        say_next("holdfast train --register")


def show_comparison(comparison: Json) -> None:
    """Two versions side by side: figures, what differs, how scores moved."""
    a, b = f"version {comparison['a']['version']}", f"version {comparison['b']['version']}"
    figures = [
        [escape(row["name"]), number(row["a"]), number(row["b"]), number(row["difference"])]
        for row in comparison["metrics"]
    ]
    show_table("On the test side of each", ["figure", a, b, "difference"], figures)
    _show_paired(comparison, a, b)
    differences = [
        [escape(item["name"]), escape(str(item["a"])), escape(str(item["b"]))]
        for item in [*comparison["parameters"], *comparison["data"]]
    ]
    if differences:
        show_table("What differs", ["", a, b], differences)
    if comparison["score_shift"]:
        _show_shift(comparison["score_shift"], a, b)
    if comparison["next"]:
        say_next(*map(in_commands, comparison["next"]))


def _show_paired(comparison: Json, a: str, b: str) -> None:
    paired = comparison["paired"]
    if paired is None:
        return say(f"{comparison['paired_missing']} Until then the figures do not compare exactly.")
    rows = [
        [escape(row["name"]), *(number(row[name]) for name in ("a", "b", "difference")), interval(row["interval"])]
        for row in paired["metrics"]
    ]
    title = f"On the {paired['n']:,} rows that both were judged on, {paired['n_churners']:,} churners"
    return show_table(title, ["figure", a, b, "difference", "95 % interval"], rows)


def _show_shift(shift: Json, a: str, b: str, n_movers: int = 10) -> None:
    figures = ("n_accounts", "psi", "mean_difference", "rank_correlation")
    show_table("How scores moved", ["", ""], [[name, escape(str(shift[name]))] for name in figures])
    moves = [[coloured(move["from"]), coloured(move["to"]), f"{move['n']:,}"] for move in shift["tier_moves"]]
    show_table("Accounts by tier", [a, b, "accounts"], moves)
    movers = [
        [escape(each["account_id"]), *(f"{share(each[f'p_{v}'])} {coloured(each[f'tier_{v}'])}" for v in ("a", "b"))]
        for each in shift["movers"][:n_movers]
    ]
    if movers:
        show_table("Furthest from one tier to another", ["account", a, b], movers)
