"""Rows of single scores: values given by the caller checked one by one, values of the dataset picked out of a frame."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from app.ml.encoding import Encoder, Value
from app.ml.frame import FeatureKind, Frame
from app.schemas.scoring import AccountIn, RowProblem

_WORDS = {
    FeatureKind.NUMERIC: "a number",
    FeatureKind.BOOLEAN: "true or false",
    FeatureKind.CATEGORICAL: "text",
}


@dataclass(frozen=True)
class OnlineRow:
    """One account to score: its features, or why it can't be scored."""

    account_id: str
    features: Mapping[str, Value] | None = None
    as_of: datetime | None = None
    revision: int | None = None
    problem: RowProblem | None = None


def given_row(account: AccountIn, encoder: Encoder, known_names: Collection[str]) -> OnlineRow:
    """The row of an account that came with its features; those of the dataset that the version ignores are let pass."""
    kinds = {each.feature.name: each.feature.kind for each in encoder.features}
    given = account.features or {}
    for name, value in given.items():
        problem = _problem(name, value, kinds.get(name), known_names)
        if problem:
            return OnlineRow(account.account_id, problem=problem)
    return OnlineRow(account.account_id, {name: _plain(given[name]) for name in kinds if name in given})


def _problem(name: str, value: Value, kind: FeatureKind | None, known_names: Collection[str]) -> RowProblem | None:
    if kind is None:
        unknown = f"There is no feature {name!r}; GET /score/schema lists them."
        return None if name in known_names else RowProblem(code="unknown_feature", detail=unknown, feature=name)
    if value is None or _fits(value, kind):
        return None
    return RowProblem(code="wrong_type", detail=f"The feature {name!r} must be {_WORDS[kind]} or null.", feature=name)


def _fits(value: Value, kind: FeatureKind) -> bool:
    if isinstance(value, bool):
        return kind is FeatureKind.BOOLEAN
    if isinstance(value, str):
        return kind is FeatureKind.CATEGORICAL
    return kind is FeatureKind.NUMERIC and abs(value or 0) < 1e300  # a longer JSON integer is no float any more


def _plain(value: Value) -> Value:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def stored_rows(
    accounts: Sequence[str],
    frame: Frame,
    features: pa.Schema,
    *,
    revision: int,
    version: int,
    absent: Callable[[str], RowProblem],
) -> dict[str, OnlineRow]:
    """The rows of accounts that are to be scored by what the dataset knows of them, by account."""
    misfit = _misfit(frame.features.schema, features, revision=revision, version=version)
    if misfit is not None:
        return {account: OnlineRow(account, problem=misfit) for account in accounts}
    found = {}
    values = frame.features.select(features.names).to_pylist()
    instants = [None] * len(frame) if frame.as_of is None else frame.as_of.to_pylist()
    for at, account in enumerate(frame.accounts.to_pylist()):
        if frame.churned is not None and frame.churned[at] == 1:
            told = f"{account!r} is labelled churned in revision {revision}: there is nothing to foresee."
            found[account] = OnlineRow(account, problem=RowProblem(code="churned_account", detail=told))
        else:
            found[account] = OnlineRow(account, values[at], instants[at], revision)
    gone = [account for account in accounts if account not in found]
    return found | {account: OnlineRow(account, problem=absent(account)) for account in gone}


def _misfit(rows: pa.Schema, features: pa.Schema, *, revision: int, version: int) -> RowProblem | None:
    wrong = [
        field.name
        for field in features
        if field.name not in rows.names or (rows.field(field.name).type not in (field.type, pa.null()))
    ]
    if not wrong:
        return None
    detail = f"Revision {revision} lacks {', '.join(wrong)}, or holds it in another kind than version {version} reads."
    return RowProblem(code="rows_do_not_fit", detail=detail)
