"""A simulated business as a dataset of facts, for the benchmarks that need one."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.container import Services
from app.schemas.events import AccountsIn, EventsIn, EventsTableIn, Fact, SubscriptionRule, SubscriptionsIn
from app.services.fact_storing import store_facts
from app.services.revisions import get_revision
from app.settings import Settings
from app.simulator import SimulatorConfig
from app.simulator.writing import write_files
from app.tables import Dataset, Revision

LOAD_ORDER: tuple[Fact, ...] = ("accounts", "subscriptions", "events")


def describe(name: str, config: SimulatorConfig) -> EventsIn:
    """The three tables of the simulator, with every column that it has."""
    return EventsIn(
        name=name,
        kind="events",
        accounts=AccountsIn(
            valid_from_column="valid_from", recorded_at_column="recorded_at", value_column="annual_value"
        ),
        subscriptions=SubscriptionsIn(
            subscription_id_column="subscription_id",
            plan_column="plan",
            amount_column="recurring_amount",
            recorded_at_column="recorded_at",
        ),
        events=EventsTableIn(
            kind_column="kind", quantity_column="quantity", amount_column="amount", recorded_at_column="recorded_at"
        ),
        active=SubscriptionRule(),
        horizon_days=config.horizon_days,
        lead_days=config.lead_days,
        grace_days=config.grace_days,
    )


async def bring(services: Services, config: SimulatorConfig, name: str, *, quiet: bool = False) -> None:
    """Simulate, and let the service take the facts in, as it does with files that are sent to it."""
    await services.datasets.create(describe(name, config), actor="benchmark")
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, name)
    with tempfile.TemporaryDirectory(dir=services.settings.home) as folder:
        began = time.perf_counter()
        n_rows = write_files(config, Path(folder))
        if not quiet:
            print(f"simulated {config.n_accounts:,} accounts in {time.perf_counter() - began:.0f} s", flush=True)
        for fact in LOAD_ORDER:
            began = time.perf_counter()
            file = Path(folder) / f"{fact}.parquet"
            await store_facts(services.sessions, dataset, fact, file, actor="benchmark", append=False)
            seconds = time.perf_counter() - began
            if not quiet:
                rate = n_rows[fact] / seconds
                print(f"{fact}: {n_rows[fact]:,} rows in {seconds:.1f} s, {rate:,.0f} rows/s", flush=True)


async def find(services: Services, name: str) -> tuple[Dataset, Revision]:
    """The dataset and its newest revision."""
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, name)
        return dataset, await get_revision(session, dataset)


@contextmanager
def private_home(kept: Path | None) -> Iterator[Settings]:
    """Settings of a store of its own: below a folder that stays, or one that goes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = kept or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # the user that runs PostgreSQL must be able to pass
        yield Settings(home=folder / "home")
