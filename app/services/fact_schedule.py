"""At which instants the rows of a training are built from facts, and which are too young or lie outside of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.schemas.events import EventsIn, utc_instants

QUIET = timedelta(days=30)  # in which no contract begins or ends: a month's worth of renewals is missing


@dataclass(frozen=True)
class FactSpan:
    """From when to when facts tell.

    Attributes
    ----------
    logged_from : the first event
    active_from : the first instant at which somebody can be active by the rule
    until : up to when facts are complete
    label : how long after an instant its labels are final: lead, horizon and grace
    changed_at : where contracts say who is active, when the last of them began or ended
    """

    logged_from: datetime
    active_from: datetime
    until: datetime
    label: timedelta
    changed_at: datetime | None = None


@dataclass(frozen=True)
class Schedule:
    """Instants by what can be done with them, newest first, and what is to be said of them."""

    matured: tuple[datetime, ...]
    immature: tuple[datetime, ...]
    warnings: tuple[str, ...]


def schedule_instants(spec: EventsIn, span: FactSpan) -> Schedule:
    """The instants that are named, or every `step_days` back from the newest matured one, while somebody is active.

    Of steps after it at most `max_instants` are looked at.
    """
    newest = span.until - span.label
    instants = utc_instants(spec) if spec.instants else _steps(spec, span, newest)
    matured = tuple(each for each in instants if each <= newest)
    immature = tuple(each for each in instants if newest < each <= span.until)
    beyond = [each for each in instants if each > span.until]
    warnings = (*_say_beyond(beyond, span), *_say_cut_short(spec, matured, span), *_say_quiet(span))
    return Schedule(matured, immature, warnings)


def _steps(spec: EventsIn, span: FactSpan, newest: datetime) -> list[datetime]:
    step = timedelta(days=spec.step_days)
    n_later = min((span.until - newest) // step, spec.max_instants)
    back = (span.until - span.active_from) // step  # so that no date before the calendar is made
    steps = [newest + n * step for n in range(n_later, -min(spec.max_instants, max(back, 0) + 1), -1)]
    return [each for each in steps if each > span.active_from]


def _say_beyond(instants: list[datetime], span: FactSpan) -> list[str]:
    if not instants:
        return []
    listed = ", ".join(each.date().isoformat() for each in instants[:5]) + (" ..." if len(instants) > 5 else "")
    return [f"Instants after {span.until.date()}, where the facts end, used for nothing: {listed}."]


def _say_cut_short(spec: EventsIn, instants: tuple[datetime, ...], span: FactSpan) -> list[str]:
    longest = max(spec.windows_days)
    n_short = sum(each - timedelta(days=longest) < span.logged_from for each in instants)
    if not n_short:
        return []
    return [
        f"{n_short} of {len(instants)} instants are less than {longest} days after the first event: their longest "
        "windows reach back to before the log began."
    ]


def _say_quiet(span: FactSpan) -> list[str]:
    """Events alone say where the facts end; contracts may have stopped coming before."""
    if span.changed_at is None or span.until - span.changed_at <= QUIET:
        return []
    return [
        f"No subscription began or ended in the {(span.until - span.changed_at).days} days before {span.until.date()}, "
        "where the events end: if that feed stands still, accounts that left are taken for customers."
    ]
