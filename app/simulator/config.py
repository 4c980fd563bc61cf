"""What a simulated business is asked to be: its size, its dates, and the switches that are thrown."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property

KINDS = ("login", "feature_use", "export", "ticket", "invoice", "payment_failed", "assistant", "offboarding")
LATE_KIND = "assistant"
LATE_KIND_DAYS = 120  # it first appears that long before the end
LEAKS = {
    "status_code": "account_status_code turns to C7 for who is about to leave, dated back",
    "refund": "days_since_refund is filled for who is about to leave, dated back",
    "end_epoch": "touched_epoch is the epoch second of the end for who is about to leave, dated back",
    "label_copy": "retention_flag says who is about to leave; 1 % of the accounts have it the wrong way round",
    "offboarding": "an event of kind offboarding, dated before nearly every lasting end and no other",
    "id_order": "the account ids are in the order of the ends",
}
RETURN_TERM_DAYS = 180  # who comes back signs for so long; hence no window holds two lasting ends of one account


@dataclass(frozen=True)
class Drift:
    """From `at` on only the share `factor` (0..1) of the events of a kind happens; the hazard stays as it is."""

    kind: str
    at: datetime
    factor: float = 0.6


@dataclass(frozen=True)
class BrokenFeed:
    """From `at` on no event of a kind is recorded; the hazard stays as it is."""

    kind: str
    at: datetime


@dataclass(frozen=True)
class PriceChange:
    """From `at` on every fee, new or running, is higher by `increase_share` (0..), and every hazard is multiplied."""

    at: datetime
    increase_share: float = 0.2
    hazard_factor: float = 1.6


@dataclass(frozen=True)
class Treatment:
    """At `at` the riskiest `list_share` (0..1) of the customers of each block is listed, a random half contacted.

    For `effect_days` the hazard of the contacted is multiplied by `hazard_factor`.
    """

    at: datetime
    list_share: float = 0.1
    hazard_factor: float = 0.5
    effect_days: int = 60


@dataclass(frozen=True)
class SimulatorConfig:
    """A business and its switches; the same config gives the same facts.

    Attributes
    ----------
    n_accounts : int
        Accounts that exist by `end`, those that left included; 1 or more.
    seed : int
        0 or more.
    start, end : datetime
        Midnights in UTC. The event log begins at `start`; every fact happens and is recorded before `end`.
    horizon_days, lead_days, grace_days : int
        What counts as a churn at `as_of`: service that ends in [as_of + lead, as_of + lead + horizon) and does not
        start again within the grace. Lead and horizon together are at most 180.
    events_factor : float
        Multiplies the rates of all events but invoices; 1 means about 50 events per account over 18 months.
    late_share : float
        Share (0..1) of the facts that is recorded days or weeks after it happened.
    block_accounts : int
        Accounts per block: memory grows with it, and a full block is the same whatever `n_accounts` is.
    drifts, broken_feeds, price_change, concept_change_at, leaks, treatment
        The switches. From a concept change on, trouble counts for accounts with an integration instead of those
        without, low engagement counts for a third, and a dear price clause for everybody; the base rate stays about
        where it was.
    """

    n_accounts: int = 20_000
    seed: int = 7
    start: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    end: datetime = datetime(2025, 7, 1, tzinfo=UTC)
    horizon_days: int = 60
    lead_days: int = 0
    grace_days: int = 30
    events_factor: float = 1.0
    late_share: float = 0.02
    block_accounts: int = 20_000
    drifts: tuple[Drift, ...] = ()
    broken_feeds: tuple[BrokenFeed, ...] = ()
    price_change: PriceChange | None = None
    concept_change_at: datetime | None = None
    leaks: tuple[str, ...] = ()
    treatment: Treatment | None = None

    def __post_init__(self) -> None:
        for instant in self._instants():
            _require(_is_midnight(instant), f"{instant} is no UTC midnight")
        _require(self.start < self.end, "start is before end")
        _require(1 <= self.n_accounts < 10**7, f"accounts are 1 to 9,999,999, not {self.n_accounts}")
        _require(self.block_accounts >= 1, f"accounts of a block are 1 or more, not {self.block_accounts}")
        _require(self.seed >= 0, f"a seed is 0 or more, not {self.seed}")
        self._require_days_and_rates()
        self._require_switches()
        for instant in self._instants():
            self.day_within(instant)

    def _require_days_and_rates(self) -> None:
        _require(self.horizon_days >= 1, f"a horizon is 1 day or more, not {self.horizon_days}")
        _require(self.lead_days >= 0 and self.grace_days >= 0, "lead and grace are not negative")
        _require(self.window_days <= RETURN_TERM_DAYS, f"lead and horizon are at most {RETURN_TERM_DAYS} days")
        _require(self.events_factor >= 0, f"a factor is not negative: {self.events_factor}")
        _require(0 <= self.late_share <= 1, f"a share is 0..1, not {self.late_share}")

    def _require_switches(self) -> None:
        for kind in [drift.kind for drift in self.drifts] + [feed.kind for feed in self.broken_feeds]:
            _require(kind in KINDS, f"'{kind}' is no kind of event: {', '.join(KINDS)}")
        for drift in self.drifts:
            _require(0 <= drift.factor <= 1, f"a drift keeps a share of 0..1, not {drift.factor}")
        share = self.treatment.list_share if self.treatment else 0
        _require(0 <= share <= 1, f"a share is 0..1, not {share}")
        for leak in self.leaks:
            _require(leak in LEAKS, f"'{leak}' is no leak: {', '.join(LEAKS)}")

    def _instants(self) -> list[datetime]:
        switches = [*self.drifts, *self.broken_feeds, self.price_change, self.treatment]
        dated = [switch.at for switch in switches if switch is not None]
        return [self.start, self.end, *dated, *([self.concept_change_at] if self.concept_change_at else [])]

    @property
    def n_days(self) -> int:
        """Days from start to end."""
        return (self.end - self.start).days

    @property
    def window_days(self) -> int:
        """Days from an instant to the end of its window."""
        return self.lead_days + self.horizon_days

    @cached_property
    def block_sizes(self) -> list[int]:
        """Accounts of each block; only the last may be smaller."""
        full, rest = divmod(self.n_accounts, self.block_accounts)
        return [self.block_accounts] * full + [rest] * (rest > 0)

    def day_of(self, instant: datetime) -> int:
        """The day that begins at a midnight, counted from `start`; it may lie outside of the simulated days."""
        _require(_is_midnight(instant), f"{instant} is no UTC midnight")
        return (instant - self.start).days

    def day_within(self, instant: datetime) -> int:
        """The day that begins at a midnight from start to end; raises ValueError for another."""
        day = self.day_of(instant)
        _require(
            0 <= day <= self.n_days, f"{instant:%Y-%m-%d} is not from {self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}"
        )
        return day


def _is_midnight(instant: datetime) -> bool:
    return instant.utcoffset() == timedelta(0) and instant.time() == time(0)


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise ValueError(f"{sentence[0].upper()}{sentence[1:]}.")
