"""A dataset of queries through its life: the rows of its revisions, a training, scores, and what came of them."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.container import Services, open_services
from app.errors import NoActiveAccounts, NoRows, QueryChanged, QueryRefused, SourceUnreachable
from app.ml.frame import Frame
from app.schemas.monitoring import MonitorIn
from app.schemas.promotions import PromoteIn
from app.schemas.query import QueryIn
from app.schemas.scoring import BatchIn
from app.schemas.training import TrainIn
from app.settings import Settings
from app.tables import Revision
from tests.services.query_world import (
    HORIZON_DAYS,
    LABELS,
    Account,
    active,
    begin,
    copy,
    create,
    days_ago,
    describe,
    the_dataset,
    today,
)
from tests.warehouse import Warehouse


def matured() -> list[datetime]:
    return [days_ago(30 + 30 * step) for step in range(4)]


async def labelled(services: Services, revision: Revision, as_of: datetime) -> Frame:
    source = await services.frames.open(await the_dataset(services), revision)
    return (await source.labelled([as_of])).frame


def facts_of(revision: Revision) -> dict[str, tuple[int, int, int]]:
    return {each["as_of"]: (each["n_rows"], each["n_labelled"], each["n_churned"]) for each in revision.instants}


async def test_a_training_has_the_matured_instants_and_the_newest(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse, accounts: list[Account]
) -> None:
    assert (await create(client, warehouse)).status_code == 201
    revision = await copy(services)
    expected = {today().isoformat(): (sum(each.is_active(today()) for each in accounts), 0, 0)}
    for as_of in matured():
        there = [each for each in accounts if each.is_active(as_of)]
        n_churned = sum(each.has_churned(as_of) for each in there)
        expected[as_of.isoformat()] = (len(there), len(there), n_churned)
    assert facts_of(revision) == expected
    for as_of in matured():
        frame = await labelled(services, revision, as_of)
        there = sorted((each for each in accounts if each.is_active(as_of)), key=lambda each: each.id)
        assert frame.accounts.to_pylist() == [each.id for each in there]
        assert frame.churned is not None
        assert frame.churned.tolist() == [float(each.has_churned(as_of)) for each in there]
        columns = {name: frame.features[name].to_pylist() for name in frame.features.column_names}
        assert set(columns) == {"tier", "ends in 0", "text", "n_orders_30d", "spend"}
        assert columns["tier"] == [each.tier for each in there]
        assert columns["ends in 0"] == [each.id.endswith("0") for each in there]
        assert set(columns["text"]) == {":as_of"}
        assert columns["n_orders_30d"] == [each.n_orders_30d(as_of) for each in there]
        np.testing.assert_allclose(columns["spend"], [each.spend(as_of) for each in there], atol=0.005)


async def test_the_same_answer_is_no_new_revision(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse
) -> None:
    await create(client, warehouse)
    first, again, scored = await copy(services), await copy(services), await copy(services, "score")
    assert (first.id, again.id, scored.id) == (first.id,) * 3
    warehouse.execute("UPDATE shop.accounts SET tier = 'pro' WHERE id = 'a0001'")
    assert (await copy(services)).number == 2
    async with services.sessions() as session:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'data'"
        assert (await session.execute(text(tables))).scalar_one() == 4


async def test_a_scoring_reads_the_newest_instant_alone(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse, accounts: list[Account]
) -> None:
    """What the warehouse says of the past changes too, and is left to the next training."""
    await create(client, warehouse)
    before = await copy(services)
    there = sorted(each.id for each in accounts if each.is_active(today()))
    warehouse.execute(f"DELETE FROM shop.accounts WHERE id = '{there[0]}'; UPDATE shop.accounts SET tier = 'pro'")
    after = await copy(services, "score")
    assert after.number == 2
    frames = await active(services, after)
    assert [account for frame in frames for account in frame.accounts.to_pylist()] == there[1:]
    assert {tier for frame in frames for tier in frame.features["tier"].to_pylist()} == {"pro"}
    for as_of in matured():
        assert facts_of(after)[as_of.isoformat()] == facts_of(before)[as_of.isoformat()]
    again = await copy(services, "score", now=today() + timedelta(days=1, hours=5))
    assert set(facts_of(again)) == {
        (today() + timedelta(days=1)).isoformat(),
        *(each.isoformat() for each in matured()),
    }


async def test_who_has_left_is_not_scored_from_an_old_row(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse, accounts: list[Account]
) -> None:
    await create(client, warehouse)
    revision = await copy(services)
    gone = next(each.id for each in accounts if each.is_active(matured()[0]) and not each.is_active(today()))
    there = next(each.id for each in accounts if each.is_active(today()))
    source = await services.frames.open(await the_dataset(services), revision)
    frame = await source.newest([gone, there])
    assert frame.accounts.to_pylist() == [there]
    assert frame.as_of is not None
    assert frame.as_of.to_pylist() == [today()]
    chunks = await active(services, revision, chunk_size=7)
    assert [account for chunk in chunks for account in chunk.accounts.to_pylist()] == sorted(
        each.id for each in accounts if each.is_active(today())
    )


async def test_an_account_without_a_label_is_not_learned_from(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse, accounts: list[Account]
) -> None:
    await create(client, warehouse, labels_sql=f"{LABELS} AND id >= 'a0040'", max_instants=1)
    revision = await copy(services)
    there = [each.id for each in accounts if each.is_active(matured()[0])]
    source = await services.frames.open(await the_dataset(services), revision)
    rows = await source.labelled([matured()[0]])
    assert rows.frame.accounts.to_pylist() == sorted(name for name in there if name >= "a0040")
    assert rows.n_unlabelled == sum(name < "a0040" for name in there)


async def test_named_instants_are_read_where_they_have_matured(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse
) -> None:
    named = [days_ago(100), days_ago(40), days_ago(5)]
    await create(client, warehouse, instants=[each.isoformat() for each in named], lead_days=3, grace_days=7)
    revision = await copy(services)
    assert set(facts_of(revision)) == {today().isoformat(), named[0].isoformat(), named[1].isoformat()}
    at_the_edge = await copy(services, now=today() + timedelta(days=34, hours=23))
    assert named[2].isoformat() not in facts_of(at_the_edge)
    later = await copy(services, now=today() + timedelta(days=35))
    assert named[2].isoformat() in facts_of(later)


async def test_a_copy_that_can_not_be_leaves_nothing(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse
) -> None:
    warehouse.execute(
        "CREATE TABLE shop.labels AS SELECT id, CASE WHEN id < 'a0100' THEN 'yes' ELSE 'no' END AS word"
        " FROM shop.accounts; GRANT SELECT ON shop.labels TO reader"
    )
    labels = "SELECT id AS account_id, word AS churned FROM shop.labels WHERE :as_of < now()"
    answer = await create(client, warehouse, max_instants=1, labels_sql=labels, positive_value="yes")
    assert answer.status_code == 201, answer.text
    with pytest.raises(NoRows):
        await copy(services, "score")
    faults = {
        "INSERT INTO shop.labels SELECT * FROM shop.labels LIMIT 1": "At .*: The labels have an account twice",
        "TRUNCATE shop.labels; INSERT INTO shop.labels SELECT id, tier FROM shop.accounts": "'yes' does not occur",
        "UPDATE shop.labels SET word = 'no'": "it holds 'no' alone",
        "DROP TABLE shop.labels": 'labels_sql: relation "shop.labels" does not exist',
        "TRUNCATE shop.accounts": "returns no row|does not exist",
    }
    for change, why in faults.items():
        warehouse.execute(change)
        with pytest.raises(QueryRefused, match=why):
            await copy(services)
    async with services.sessions() as session:
        assert (await session.execute(text("SELECT count(*) FROM parts"))).scalar_one() == 0


async def test_columns_that_a_version_reads_must_stay(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse
) -> None:
    warehouse.execute("CREATE VIEW shop.marts AS SELECT *, 1 AS extra, length(id) AS size FROM shop.accounts")
    warehouse.execute("GRANT SELECT ON shop.marts TO reader")
    clause = "FROM shop.marts WHERE created_at < :as_of AND coalesce(left_at > :as_of, true)"
    await create(client, warehouse, features_sql=f"SELECT id AS account_id, m.* FROM (SELECT * {clause}) AS m")
    await copy(services)
    view = "CREATE VIEW shop.marts AS SELECT *, {} FROM shop.accounts; GRANT SELECT ON shop.marts TO reader"
    for columns, why in (("1 AS extra, id || 'x' AS size", "size is categorical now"), ("2 AS extra", "size is not")):
        warehouse.execute(f"DROP VIEW shop.marts; {view.format(columns)}")
        with pytest.raises(QueryChanged, match=why):
            await copy(services, "score")
    warehouse.execute(f"DROP VIEW shop.marts; {view.format('3 AS more, 2 AS extra, length(id) AS size')}")
    assert "more" not in {each["name"] for each in (await copy(services, "score")).columns}


async def test_nobody_active_is_nobody_to_score(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse
) -> None:
    await create(client, warehouse)
    await copy(services)
    warehouse.execute("UPDATE shop.accounts SET left_at = now() - interval '2 days' WHERE left_at IS NULL")
    warehouse.execute("DELETE FROM shop.accounts WHERE left_at > now() - interval '1 day'")
    with pytest.raises(NoActiveAccounts):
        await copy(services, "score")


async def test_a_warehouse_that_is_away_is_said(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse
) -> None:
    await create(client, warehouse)
    dataset = await the_dataset(services)
    async with services.sessions.begin() as session:
        dataset.spec = {**(dataset.spec or {}), "source_url": warehouse.url(port=1)}
        session.add(dataset)
    with pytest.raises(SourceUnreachable):
        await copy(services)


async def test_an_answer_that_is_too_large_is_stopped(database_url: str, warehouse: Warehouse) -> None:
    settings = Settings(database_url=database_url, max_upload_bytes=5000)
    async with open_services(settings, database_url) as services:
        with pytest.raises(QueryRefused, match="more than 5000 bytes"):
            await services.datasets.create(QueryIn.model_validate(describe(warehouse)), actor="test")


@pytest.mark.slow
async def test_the_whole_life(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse, accounts: list[Account]
) -> None:
    """Register, train, promote, score, check; then time goes by in the warehouse, and it is checked again."""
    assert (await client.post("/datasets", json=describe(warehouse))).status_code == 201
    training = {"model": {"model_type": "logistic"}, "training": {"shap": False, "n_folds": 3}, "register": True}
    job = await services.training.submit(TrainIn.model_validate(training), actor="test")
    trained = await services.training.run(await begin(services, job.id))
    split = trained["split"]
    assert split["kind"] == "temporal"
    assert split["instants"]["test"] == [matured()[0].isoformat()]
    there = [each for each in accounts if each.is_active(matured()[0])]
    assert split["sides"]["test"]["n_rows"] == len(there)
    assert split["sides"]["test"]["n_churned"] == sum(each.has_churned(matured()[0]) for each in there)
    force = PromoteIn.model_validate({"force": True, "reason": "to have a champion"})
    await services.promotion.promote(1, force, if_match=None, actor="test")
    scored = await score(services)
    now_there = {each.id for each in accounts if each.is_active(today())}
    assert scored["n_accounts_scored"] == len(now_there)
    async with services.sessions() as session:
        rows = (await session.execute(text("SELECT account_id, as_of FROM predictions"))).all()
    assert ({row.account_id for row in rows}, {row.as_of for row in rows}) == (now_there, {today()})
    [first] = (await check(services))["realised"]
    assert (first["n"], first["n_immature"], first["n_known_before"]) == (0, len(now_there), 0)
    await let_time_go_by(services, warehouse)
    [second] = (await check(services))["realised"]
    churners = [each for each in accounts if each.id in now_there and each.has_churned(today())]
    assert (second["n"], second["n_churners"]) == (len(now_there), len(churners))
    assert (second["n_immature"], second["n_unreported"]) == (0, 0)
    assert (await check(services))["realised"] == [second]
    async with services.sessions() as session:
        assert (await session.execute(text("SELECT max(number) FROM revisions"))).scalar_one() == 2


async def score(services: Services) -> dict[str, Any]:
    job = await services.scoring.submit(BatchIn(), actor="test")
    return await services.scoring.run(await begin(services, job.id))


async def check(services: Services) -> dict[str, Any]:
    job = await services.monitoring.submit(MonitorIn(), actor="test")
    return await services.monitoring.run(await begin(services, job.id))


async def let_time_go_by(services: Services, warehouse: Warehouse) -> None:
    """Everything that is dated, here and there, is older by the horizon and a day."""
    days = HORIZON_DAYS + 1
    warehouse.execute(
        f"UPDATE shop.accounts SET created_at = created_at - interval '{days} days', left_at = left_at - interval"
        f" '{days} days'; UPDATE shop.orders SET at = at - interval '{days} days'"
    )
    async with services.sessions.begin() as session:
        for table in ("predictions", "scoring_runs"):
            await session.execute(text(f"UPDATE {table} SET as_of = as_of - interval '{days} days'"))
