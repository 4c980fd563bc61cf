"""Every feature that is built from facts: its name, what it means in words, its unit, and the SQL that makes it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count

from app.features.plan import OTHER, EventKind, FeaturePlan
from app.ml.frame import Feature, FeatureKind
from app.schemas.events import EventsIn, SubscriptionsIn

TOTAL = "total"  # the window of everything so far


@dataclass(frozen=True)
class Definition:
    """A feature.

    Attributes
    ----------
    name, kind : as in frames and bundles
    words : what it means, as reasons say it
    unit : 'days', 'events', 'money', ...; empty where it has none
    actionable : an account manager can do something about it
    sql : its value in the joined rows of an account; see `app.features.query`
    """

    name: str
    kind: FeatureKind
    words: str
    unit: str
    actionable: bool
    sql: str

    @property
    def feature(self) -> Feature:
        """As frames and models have it."""
        return Feature(self.name, self.kind, self.words)


def define_features(spec: EventsIn, plan: FeaturePlan) -> tuple[Definition, ...]:
    """All features of a dataset of events under a plan, in a fixed order, without those that the spec excludes."""
    found = chain(
        _of_time(),
        chain.from_iterable(_of_kind(at, kind, spec) for at, kind in enumerate(all_kinds(plan))),
        _across_kinds(plan, windows(spec)),
        _of_subscriptions(spec.subscriptions) if spec.subscriptions else (),
        _of_attributes(spec, plan),
    )
    left_out = set(spec.exclude_features)
    return tuple(each for each in _with_distinct_names(found) if each.name not in left_out)


def _with_distinct_names(definitions: Iterable[Definition]) -> Iterator[Definition]:
    """A kind of event or an attribute may be called as something else is: the later one is numbered."""
    taken: set[str] = set()
    for each in definitions:
        names = chain([each.name], (f"{each.name} ({number})" for number in count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        yield each if name == each.name else replace(each, name=name)


def windows(spec: EventsIn) -> list[int]:
    """In days, the shortest first."""
    return sorted(spec.windows_days)


def all_kinds(plan: FeaturePlan) -> list[EventKind]:
    """The kinds in the order of their codes; the last one stands for all others."""
    return [*plan.kinds, *([EventKind(OTHER, has_quantity=False, has_amount=False)] if plan.has_other else [])]


def _number(name: str, words: str, unit: str, sql: str, *, actionable: bool) -> Definition:
    return Definition(name, FeatureKind.NUMERIC, words, unit, actionable, sql)


def _days_since(instant: str) -> str:
    return f"date_part('epoch', $1::timestamptz - {instant}) / 86400"


def _of_time() -> Iterator[Definition]:
    """Tenure, recency and rhythm over events of all kinds."""
    yield _number(
        "tenure_days", "days since the account was made", "days", _days_since("made.created_at"), actionable=False
    )
    recency = _days_since("e.last_at")
    yield _number("days_since_any_event", "days since the last event of any kind", "days", recency, actionable=True)
    yield _number("gap_mean_days", "usual days between two events", "days", "e.gap_mean", actionable=False)
    yield _number("gap_sd_days", "spread of the days between two events", "days", "e.gap_sd", actionable=False)
    yield _number(
        "days_since_any_event_over_gap",
        "days since the last event of any kind, as a multiple of the usual",
        "",
        f"{recency} / nullif(e.gap_mean, 0)",
        actionable=True,
    )


def _of_kind(code: int, kind: EventKind, spec: EventsIn) -> Iterator[Definition]:
    """Counts, sums and active days in each window, and so far; recency; trends of short windows to long ones."""
    name, days = kind.name, windows(spec)
    spans: list[int | str] = [*days, TOTAL] if spec.so_far else [*days]
    for window in spans:
        suffix, when = _span(window)
        for prefix, words, unit, source in _measures(kind):
            sql = f"coalesce(e.{source}_{window}_{code}, 0)"
            yield _number(f"{prefix}_{name}{suffix}", f"{words} {when}", unit, sql, actionable=True)
    if kind.has_quantity:
        mean = f"e.quantity_total_{code} / nullif(e.n_quantity_{code}, 0)"
        yield _number(f"mean_quantity_{name}", f"mean quantity of {name} events", "", mean, actionable=True)
    if kind.has_amount:
        mean = f"e.amount_total_{code} / nullif(e.n_amount_{code}, 0)"
        yield _number(f"mean_amount_{name}", f"mean amount of {name} events", "money", mean, actionable=True)
    since = _days_since(f"e.last_at_{code}")
    yield _number(f"days_since_{name}", f"days since the last {name} event", "days", since, actionable=True)
    for short, long in zip(days, days[2:], strict=False):
        rate = f"(coalesce(e.n_{short}_{code}, 0)::float8 / {short}) / nullif(e.n_{long}_{code}::float8 / {long}, 0)"
        words = f"{name} events a day in the last {short} days, as a multiple of the last {long}"
        yield _number(f"trend_{name}_{short}d_{long}d", words, "", rate, actionable=True)


def _span(window: int | str) -> tuple[str, str]:
    return ("_total", "so far") if window == TOTAL else (f"_{window}d", f"in the last {window} days")


def _measures(kind: EventKind) -> Iterator[tuple[str, str, str, str]]:
    """Prefix of the name, words, unit, and prefix of the column."""
    yield "n", f"{kind.name} events", "events", "n"
    yield "active_days", f"days with a {kind.name} event", "days", "days"
    if kind.has_quantity:
        yield "quantity", f"quantity of {kind.name} events", "", "quantity"
    if kind.has_amount:
        yield "amount", f"amount of {kind.name} events", "money", "amount"


def _across_kinds(plan: FeaturePlan, days: Sequence[int]) -> Iterator[Definition]:
    if len(all_kinds(plan)) < 2:
        return
    for window in days:
        words = f"different kinds of event in the last {window} days"
        yield _number(f"n_kinds_{window}d", words, "kinds", f"coalesce(e.n_kinds_{window}, 0)", actionable=True)


def _of_subscriptions(described: SubscriptionsIn) -> Iterator[Definition]:
    if described.plan_column:
        yield Definition("plan", FeatureKind.CATEGORICAL, "plan", "", True, "s.plan")
    if described.amount_column:
        yield _number("recurring_amount", "recurring amount", "money", "s.recurring_amount", actionable=True)
    since = "days since the present subscription began"
    yield _number("subscription_age_days", since, "days", _days_since("s.running_since"), actionable=False)
    first = "days since the first subscription began"
    yield _number("days_since_first_subscription", first, "days", _days_since("s.first_at"), actionable=False)
    n_words, ended = "subscriptions so far", "subscriptions that ended so far"
    yield _number("n_subscriptions", n_words, "subscriptions", "coalesce(s.n, 0)", actionable=False)
    yield _number("n_subscriptions_ended", ended, "subscriptions", "coalesce(s.n_ended, 0)", actionable=False)


def _of_attributes(spec: EventsIn, plan: FeaturePlan) -> Iterator[Definition]:
    if spec.accounts is None:
        return
    actionable = set(spec.accounts.actionable)
    for at, each in enumerate(plan.attributes):
        words, unit = each.name.replace("_", " "), "money" if each.name == spec.accounts.value_column else ""
        yield Definition(each.name, each.kind, words, unit, each.name in actionable, f"made.attribute_{at}")
