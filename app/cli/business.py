"""Options into the config of a simulated business, its files with progress, and what was written in words."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from app.cli.terminal import JobProgress, Json, say, say_next, show_table
from app.simulator import BrokenFeed, Drift, PriceChange, SimulatorConfig, Treatment
from app.simulator.description import describe
from app.simulator.writing import TABLES, TRUTH, Format, write_files, write_truth

NAME = "business"  # of the dataset, as the description has it
DESCRIPTION = "dataset.json"
HISTORY_DAYS = 547  # of the event log where no start is given: 18 months
CHANGE_DAYS = 90  # before the end, where no date is given


def read_switches(
    at: datetime | None,
    end: datetime,
    *,
    drifting: Sequence[str],
    broken: Sequence[str],
    price_change: bool,
    concept_change: bool,
    treat: bool,
) -> dict[str, Any]:
    """The switches that were thrown, all at one date, as fields of the config."""
    day = _utc(at or end - timedelta(days=CHANGE_DAYS))
    return {
        "drifts": tuple(Drift(kind, day) for kind in drifting),
        "broken_feeds": tuple(BrokenFeed(kind, day) for kind in broken),
        "price_change": PriceChange(day) if price_change else None,
        "concept_change_at": day if concept_change else None,
        "treatment": Treatment(day) if treat else None,
    }


def read_config(start: datetime | None, end: datetime, **fields: Any) -> SimulatorConfig:
    """The config; what it refuses is wrong usage."""
    first = start or end - timedelta(days=HISTORY_DAYS)
    try:
        return SimulatorConfig(start=_utc(first), end=_utc(end), **fields)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def read_instant(config: SimulatorConfig, day: datetime | None) -> datetime | None:
    """The instant that the truth is asked for, if it is."""
    if day is None:
        return None
    try:
        config.day_within(_utc(day))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--truth") from None
    return _utc(day)


def _utc(midnight: datetime) -> datetime:
    return midnight.replace(tzinfo=UTC)


def write_business(config: SimulatorConfig, folder: Path, form: Format, as_of: datetime | None) -> dict[str, Any]:
    """Write the files, and the truth where an instant is named; says what is where."""
    folder.mkdir(parents=True, exist_ok=True)
    n_blocks, n_passes = len(config.block_sizes), 1 if as_of is None else 2
    with JobProgress("simulate") as bar:
        bar.show("facts", 0.0)
        n_rows = write_files(config, folder, form=form, show=lambda done: bar.show("facts", done / n_blocks / n_passes))
        (folder / DESCRIPTION).write_text(json.dumps(describe(config, NAME), indent=1), encoding="utf-8")
        files = {name: {"path": str(folder / f"{name}.{form}"), "n_rows": n} for name, n in n_rows.items()}
        if as_of:
            n = write_truth(
                config, as_of, folder, show=lambda done: bar.show("truth", (1 + done / n_blocks) / n_passes)
            )
            files["truth"] = {"path": str(folder / TRUTH), "n_rows": n}
    return {"files": files, "as_of": as_of.isoformat() if as_of else None, **_dates(config)}


def _dates(config: SimulatorConfig) -> dict[str, Any]:
    return {
        "n_accounts": config.n_accounts,
        "seed": config.seed,
        "start": config.start.isoformat(),
        "end": config.end.isoformat(),
        "horizon_days": config.horizon_days,
        "lead_days": config.lead_days,
        "grace_days": config.grace_days,
        "leaks": list(config.leaks),
    }


def show_business(answer: Json) -> None:
    """The files with their rows, and what can be done with them."""
    rows = [[file["path"], f"{file['n_rows']:,}"] for file in answer["files"].values()]
    title = f"{answer['n_accounts']:,} accounts from {answer['start'][:10]} to {answer['end'][:10]}"
    show_table(title, ["file", "rows"], rows)
    say("An account churns where its service ends in the horizon and does not start again within the grace.")
    folder = Path(next(iter(answer["files"].values()))["path"]).parent
    say_next(
        f"holdfast dataset create {folder / DESCRIPTION}",
        *(f"holdfast import {answer['files'][fact]['path']} --name {NAME} --fact {fact}" for fact in TABLES),
        f"holdfast train --dataset {NAME} --register",
    )
