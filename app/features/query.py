"""The one query that builds features, and labels where asked for, of accounts at an instant.

Parameters of every query: $1 as_of, $2 the number of the revision, and from $3 on those of the accounts. Each fact
table is read once, in the order of its index by account, and nothing dated at or after as_of, or recorded then, is
seen by a feature; labels look at what came after, as the revision knows it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.features.definitions import TOTAL, Definition, all_kinds, windows
from app.features.plan import FeaturePlan
from app.schemas.events import EventsIn, Fact

BETWEEN_ACCOUNTS = "account_id > $3 AND account_id <= $4"
AFTER_ACCOUNT = "account_id > $3"
NAMED_ACCOUNTS = "account_id = ANY($3::text[])"
EVERY_ACCOUNT = "true"


@dataclass(frozen=True)
class FactTables:
    """Where the facts are: tables by kind, and the column of each attribute of accounts."""

    tables: Mapping[Fact, str]
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class FeatureQuery:
    """Builds the SQL for one dataset under one plan."""

    spec: EventsIn
    plan: FeaturePlan
    tables: FactTables
    definitions: Sequence[Definition]

    def rows(self, accounts: str, *, labelled: bool) -> str:
        """A row per active account, by account: account_id, as_of, churned, then f1, f2, ... as the definitions go."""
        features = "".join(f", {each.sql} AS f{at}" for at, each in enumerate(self.definitions, 1))
        label = "label.churned" if labelled else "NULL::boolean"
        parts = [*self._seen(accounts), *([*self._labels(accounts)] if labelled else [])]
        join = "LEFT JOIN label USING (account_id)" if labelled else ""
        return f"""
            WITH {", ".join(parts)}
            SELECT active.account_id, $1::timestamptz AS as_of, {label} AS churned{features}
            FROM active
            LEFT JOIN per_account AS e USING (account_id)
            LEFT JOIN made USING (account_id)
            {"LEFT JOIN contract AS s USING (account_id)" if self.spec.subscriptions else ""}
            {join}
            ORDER BY active.account_id"""

    def active(self, accounts: str) -> str:
        """The accounts that are active at as_of, in no order."""
        return f"WITH {', '.join(self._who_is_active(accounts))} SELECT account_id FROM active"

    def labels(self, accounts: str) -> str:
        """account_id and churned of the accounts that were active at as_of; null where an account left in the lead."""
        parts = ", ".join([*self._who_is_active(accounts), *self._labels(accounts)])
        return f"WITH {parts} SELECT account_id, label.churned FROM active JOIN label USING (account_id)"

    def kinds(self) -> str:
        """What was known of each kind of event: kind, n, n_quantity, n_amount."""
        return f"""
            SELECT kind, count(*) AS n, count(quantity) AS n_quantity, count(amount) AS n_amount
            FROM {self.tables.tables["events"]}
            WHERE {_seen_at("occurred_at")}
            GROUP BY kind"""

    def _who_is_active(self, accounts: str) -> list[str]:
        """The least that says who is active."""
        if self.spec.active.kind == "subscription":
            return [self._subscription(accounts), self._contract(), _ACTIVE_BY_CONTRACT]
        since = f"$1::timestamptz - make_interval(days => {self.spec.active.days})"
        recent = f"occurred_at >= {since} AND {self._is_activity('kind')}"
        return [self._event(accounts), f"active AS (SELECT DISTINCT account_id FROM raw_event WHERE {recent})"]

    def _seen(self, accounts: str) -> list[str]:
        """Everything that was known at as_of."""
        by_contract = self.spec.active.kind == "subscription"
        contracts = [self._subscription(accounts), self._contract()] if self.spec.subscriptions else []
        contracts += [_ACTIVE_BY_CONTRACT] if by_contract else []
        of_active = f"{accounts} AND account_id IN (SELECT account_id FROM active)"  # no other row is made
        parts = [*contracts, self._event(of_active if by_contract else accounts), self._dated(), self._banded()]
        parts += [_PER_BAND, self._per_kind(), self._per_account()]
        if self.spec.active.kind == "event":
            days = self.spec.active.days
            parts.append(
                "active AS (SELECT account_id FROM per_account "
                f"WHERE last_activity_at >= $1::timestamptz - make_interval(days => {days}))"
            )
        return [*parts, self._made(accounts)]

    def _event(self, accounts: str) -> str:
        """Events that were known at as_of; of several rows with one event id the one recorded last."""
        newest, order = _newest_version(self._event_key)
        return f"""raw_event AS (
            SELECT {newest} account_id, occurred_at, kind, quantity, amount
            FROM {self.tables.tables["events"]}
            WHERE {accounts} AND {_seen_at("occurred_at")}
            {order})"""

    def _dated(self) -> str:
        """Kinds as codes, ages in days counted back from as_of (1: the last 24 hours), and the gap to the event before.

        A day begins at the hour of as_of; an event exactly w days before is in the window of w days.
        """
        cases = "".join(f" WHEN {quote(each.name)} THEN {code}" for code, each in enumerate(self.plan.kinds))
        code = f"CASE kind{cases} ELSE {len(self.plan.kinds)} END" if cases else "0"
        return f"""dated AS (
            SELECT account_id, occurred_at, {code} AS kind,
                   round(quantity * {_PARTS}) AS quantity, round(amount * {_PARTS}) AS amount,
                   {self._is_activity("kind")} AS is_activity,
                   ceil(date_part('epoch', $1::timestamptz - occurred_at) / 86400)::int AS age,
                   date_part('epoch', occurred_at - lag(occurred_at) OVER
                       (PARTITION BY account_id ORDER BY occurred_at)) AS gap_seconds
            FROM raw_event)"""

    def _banded(self) -> str:
        """The narrowest window that each event is in."""
        cases = "".join(f" WHEN age <= {window} THEN {window}" for window in windows(self.spec))
        return f"banded AS (SELECT *, CASE{cases} END AS band FROM dated)"

    def _is_activity(self, kind: str) -> str:
        rule = self.spec.active
        if rule.kind != "event" or rule.event_kinds is None:
            return "true"
        return f"{kind} IN ({', '.join(map(quote, rule.event_kinds))})"

    def _per_kind(self) -> str:
        measures = []
        for window in (*windows(self.spec), TOTAL):
            within = "" if window == TOTAL else f" FILTER (WHERE band <= {window})"
            measures += [f"sum(n){within} AS n_{window}", f"sum(days){within} AS days_{window}"]
            measures += [f"sum({each}){within} / {_PARTS} AS {each}_{window}" for each in self._sums]
        measures += [f"sum(n_{each}) AS n_{each}" for each in self._sums]
        return f"""per_kind AS (
            SELECT account_id, kind, max(last_at) AS last_at, max(last_activity_at) AS last_activity_at,
                   min(first_at) AS first_at,
                   sum(squared_gaps) AS squared_gaps,
                   {", ".join(measures)}
            FROM per_band GROUP BY account_id, kind)"""

    @property
    def _sums(self) -> list[str]:
        described = self.spec.events
        columns = {"quantity": described.quantity_column, "amount": described.amount_column}
        return [name for name, column in columns.items() if column]

    def _per_account(self) -> str:
        """The figures of each kind side by side, and those over all kinds."""
        figures = [f"count(*) FILTER (WHERE n_{window} > 0) AS n_kinds_{window}" for window in windows(self.spec)]
        for code, kind in enumerate(all_kinds(self.plan)):
            sums = [each for each in self._sums if getattr(kind, f"has_{each}")]
            columns = ["last_at", *(f"n_{each}" for each in sums)]
            for window in (*windows(self.spec), TOTAL):
                columns += [f"n_{window}", f"days_{window}", *(f"{each}_{window}" for each in sums)]
            figures += [f"max({column}) FILTER (WHERE kind = {code}) AS {column}_{code}" for column in columns]
        return f"""per_account AS (
            SELECT account_id, max(last_at) AS last_at, max(last_activity_at) AS last_activity_at,
                   min(first_at) AS first_at,
                   {_GAPS} / nullif(sum(n_{TOTAL}) - 1, 0)::float8 / 86400 AS gap_mean,
                   CASE WHEN sum(n_{TOTAL}) > 2 THEN sqrt(
                       greatest(sum(squared_gaps) - {_GAPS} ^ 2 / (sum(n_{TOTAL}) - 1)::float8, 0)
                       / (sum(n_{TOTAL}) - 2)::float8
                   ) / 86400 END AS gap_sd,
                   {", ".join(figures)}
            FROM per_kind GROUP BY account_id)"""

    def _subscription(self, accounts: str) -> str:
        """Subscriptions as they were known at as_of: an end that was still to come is none."""
        newest, order = _newest_version(self._subscription_key)
        return f"""subscription AS (
            SELECT {newest} account_id, started_at, plan, amount,
                   CASE WHEN ended_at < $1::timestamptz THEN ended_at END AS ended_at
            FROM {self.tables.tables["subscriptions"]}
            WHERE {accounts} AND {_seen_at("started_at")}
            {order})"""

    @property
    def _event_key(self) -> str | None:
        return "event_id" if self.spec.events.event_id_column else None

    @property
    def _subscription_key(self) -> str:
        described = self.spec.subscriptions
        return "subscription_id" if described and described.subscription_id_column else "started_at"

    def _contract(self) -> str:
        return """contract AS (
            SELECT account_id, count(*) AS n, count(ended_at) AS n_ended, min(started_at) AS first_at,
                   max(started_at) FILTER (WHERE ended_at IS NULL) AS running_since,
                   (sum(amount::numeric) FILTER (WHERE ended_at IS NULL))::float8 AS recurring_amount,
                   (array_agg(plan ORDER BY started_at DESC, plan COLLATE "C")
                       FILTER (WHERE ended_at IS NULL))[1] AS plan
            FROM subscription GROUP BY account_id)"""

    def _made(self, accounts: str) -> str:
        """When each account was made, and its attributes as they were known; without such facts, its first trace."""
        if self.spec.accounts is None:
            first = "least(per_account.first_at, contract.first_at)"
            joined = "per_account FULL JOIN contract USING (account_id)"
            if not self.spec.subscriptions:
                first, joined = "first_at", "per_account"
            return f"made AS (SELECT account_id, {first} AS created_at FROM {joined})"
        columns = "".join(
            f", {self.tables.attributes[each.name]} AS attribute_{at}" for at, each in enumerate(self.plan.attributes)
        )
        newest_state = "valid_from DESC, " if self.spec.accounts.valid_from_column else ""
        return f"""made AS (
            SELECT DISTINCT ON (account_id) account_id, created_at{columns}
            FROM {self.tables.tables["accounts"]}
            WHERE {accounts} AND {_seen_at("valid_from")} AND created_at < $1::timestamptz
            ORDER BY account_id, {newest_state}recorded_at DESC NULLS LAST, added_in DESC)"""

    def _labels(self, accounts: str) -> list[str]:
        """Whether each active account churned in the horizon; null where it left in the lead already."""
        spec = self.spec
        opens = f"$1::timestamptz + make_interval(days => {spec.lead_days})"
        ends = f"$1::timestamptz + make_interval(days => {spec.lead_days + spec.horizon_days})"
        if spec.active.kind == "event":
            return self._labels_by_events(accounts, opens, ends)
        return self._labels_by_contract(accounts, opens, ends)

    def _final(self, name: str, fact: Fact, key: str | None, columns: str, accounts: str) -> str:
        """Facts as the revision knows them, whenever they happened and were recorded."""
        newest, order = _newest_version(key)
        return f"""{name} AS (
            SELECT {newest} account_id, {columns}
            FROM {self.tables.tables[fact]}
            WHERE {accounts} AND added_in <= $2
            {order})"""

    def _labels_by_events(self, accounts: str, opens: str, ends: str) -> list[str]:
        return [
            self._final("final_event", "events", self._event_key, "occurred_at, kind", accounts),
            f"""returned AS (
            SELECT DISTINCT account_id
            FROM final_event
            WHERE occurred_at >= {opens} AND occurred_at < {ends} AND {self._is_activity("kind")})""",
            """label AS (
            SELECT active.account_id, returned.account_id IS NULL AS churned
            FROM active LEFT JOIN returned USING (account_id))""",
        ]

    def _labels_by_contract(self, accounts: str, opens: str, ends: str) -> list[str]:
        """A churn is the end of a subscription that no other follows within the grace.

        One before as_of that was recorded only after it counts as one in the lead: nobody could have acted.
        """
        grace = f"make_interval(days => {self.spec.grace_days})"
        return [
            self._final(
                "final_subscription", "subscriptions", self._subscription_key, "started_at, ended_at", accounts
            ),
            f"""churn AS (
            SELECT account_id, min(ended_at) AS churned_at
            FROM final_subscription AS over
            WHERE ended_at IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM final_subscription AS next
                WHERE next.account_id = over.account_id
                  AND (next.started_at <= over.ended_at + {grace} OR next.started_at < $1::timestamptz)
                  AND (next.ended_at IS NULL OR next.ended_at > over.ended_at))
            GROUP BY account_id)""",
            f"""label AS (
            SELECT active.account_id,
                   CASE WHEN churned_at < {opens} THEN NULL ELSE coalesce(churned_at < {ends}, false) END AS churned
            FROM active LEFT JOIN churn USING (account_id))""",
        ]


def quote(text: str) -> str:
    r"""A text as an SQL literal in which nothing is left that could be taken for a parameter or the end of the text.

    COPY has no parameters: what stands for one is replaced in the text of the query, in literals too.

    Examples
    --------
    >>> print(quote("login"), quote("it's $1"))
    E'login' E'it\U00000027s \U000000241'
    """
    return "E'" + "".join(each if each.isalnum() or each in " _-." else f"\\U{ord(each):08x}" for each in text) + "'"


def _seen_at(dated: str) -> str:
    """Facts of the revision that had happened, and were recorded, before as_of."""
    return f"added_in <= $2 AND {dated} < $1::timestamptz AND (recorded_at IS NULL OR recorded_at < $1::timestamptz)"


def _newest_version(key: str | None) -> tuple[str, str]:
    """Of rows of one account with the same key the one recorded last, else taken in last; all, where they have none."""
    if key is None:
        return "", ""
    newest = f"DISTINCT ON (account_id, {key})"
    return newest, f"ORDER BY account_id, {key}, recorded_at DESC NULLS LAST, added_in DESC"


# Quantities and money are added up in whole parts of 2^-24 (0.00000006): such sums are exact, up to 500 million with
# fractions and 9e15 without. Other floats add up to other last digits in another order, and the rows of a training
# could not be rebuilt once the planner reads them otherwise. Decimals would do as well, in three times the time.
# For the same reason gaps are squared in whole seconds: exact up to gaps of three years.
_PARTS = f"{2**24}::float8"
_ACTIVE_BY_CONTRACT = "active AS (SELECT account_id FROM contract WHERE running_since IS NOT NULL)"
_GAPS = "date_part('epoch', max(last_at) - min(first_at))"  # in seconds: all gaps together
_PER_BAND = """per_band AS (
            SELECT account_id, kind, band, count(*)::int AS n, count(DISTINCT age)::int AS days,
                   sum(quantity) AS quantity, sum(amount) AS amount,
                   count(quantity)::int AS n_quantity, count(amount)::int AS n_amount,
                   max(occurred_at) AS last_at, min(occurred_at) AS first_at,
                   max(occurred_at) FILTER (WHERE is_activity) AS last_activity_at,
                   sum(round(gap_seconds * gap_seconds)) AS squared_gaps
            FROM banded GROUP BY account_id, kind, band)"""
