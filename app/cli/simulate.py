"""`holdfast simulate`: a business of which the truth is known, as files."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.session import AsJson, guarded, print_json

DEFAULT_END = datetime(2025, 7, 1)  # noqa: DTZ001 - Typer's dates have no zone; they are read as UTC
KIND_HELP = "login, feature_use, export, ticket, invoice, payment_failed or assistant"
LEAK_HELP = "status_code, refund, end_epoch, label_copy, offboarding or id_order"
DATE = ["%Y-%m-%d"]


class Form(StrEnum):
    """What files are written."""

    PARQUET = "parquet"
    CSV = "csv"


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(simulate)


def simulate(
    folder: Annotated[
        Path, typer.Argument(help="Where to write the files; made where there is none.", file_okay=False)
    ],
    *,
    accounts: Annotated[int, typer.Option(help="Number of accounts.", min=1, max=9_999_999)] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same facts.", min=0)] = 7,
    start: Annotated[datetime | None, typer.Option(help="First day; 547 days before the end.", formats=DATE)] = None,
    end: Annotated[datetime, typer.Option(help="Every fact lies before this day.", formats=DATE)] = DEFAULT_END,
    horizon_days: Annotated[int, typer.Option(help="Days in which a churn counts.", min=1)] = 60,
    lead_days: Annotated[int, typer.Option(help="Days before the horizon begins.", min=0)] = 0,
    grace_days: Annotated[int, typer.Option(help="Who is back within them has not churned.", min=0)] = 30,
    change_at: Annotated[
        datetime | None, typer.Option(help="Date of the switches below; 90 days before the end.", formats=DATE)
    ] = None,
    drift: Annotated[list[str] | None, typer.Option(help=f"A kind that becomes rarer: {KIND_HELP}.")] = None,
    broken_feed: Annotated[list[str] | None, typer.Option(help="A kind that stops being recorded.")] = None,
    price_change: Annotated[bool, typer.Option("--price-change", help="Fees and the base rate rise.")] = False,
    concept_change: Annotated[bool, typer.Option("--concept-change", help="Other traits drive churn.")] = False,
    treat: Annotated[
        bool, typer.Option("--treat", help="Half of the riskiest are contacted; see contacted.*.")
    ] = False,
    leak: Annotated[list[str] | None, typer.Option(help=f"Plant a leak: {LEAK_HELP}; may be repeated.")] = None,
    form: Annotated[Form, typer.Option("--format", help="What files to write.")] = Form.PARQUET,
    truth: Annotated[
        datetime | None,
        typer.Option(help="Also write truth.parquet: how likely a churn after this day is.", formats=DATE),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a simulated business as three tables: accounts, subscriptions, events."""
    from app.cli.business import read_config, read_instant, read_switches, show_business, write_business

    days = {"horizon_days": horizon_days, "lead_days": lead_days, "grace_days": grace_days}
    switches = read_switches(
        change_at,
        end,
        drifting=drift or [],
        broken=broken_feed or [],
        price_change=price_change,
        concept_change=concept_change,
        treat=treat,
    )
    config = read_config(start, end, n_accounts=accounts, seed=seed, leaks=tuple(leak or []), **days, **switches)
    as_of = read_instant(config, truth)
    answer = guarded(lambda: write_business(config, folder, form.value, as_of))
    print_json(answer) if as_json else show_business(answer)
