"""GET /v1/overview: how things are, in one answer for the first view of the dashboard and of `sidecar status`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from aiohttp import web

from sidecar.api.health_page import Check, Level, status_of
from sidecar.api.http.reply import Json, json_reply
from sidecar.api.row_members import number
from sidecar.core.concern import Concern, Ranked
from sidecar.core.conversion import plain_decimal
from sidecar.core.entry import Lane
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds, seconds, text_of_seconds, text_or_none
from sidecar.core.match_share import Share
from sidecar.core.overview import MappedEvent, View
from sidecar.core.standing import AccountLine, GoalLine
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.tally import HOUR_SECONDS, Figures, period_start
from sidecar.core.verdict_words import first_recent_day
from sidecar.core.waiting_parts import WaitingPart
from sidecar.delivery.rows_at_stake import cause_of, held_by
from sidecar.ports.queries import Tallies
from sidecar.ports.reports import StoredVerdicts
from sidecar.telemetry import ActiveTrouble
from sidecar.troubles import OF_CHECK, HealthCheck, Scope, Severity

Values = Mapping[str, Decimal]

Attributed = Mapping[tuple[str, str], float | None]
"""The attributed share by account and goal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewSources:
    """Where the overview comes from. Callables are asked for each answer, so that a reload needs no restart."""

    version: str
    tallies: Tallies
    now: Callable[[], UnixMillis]
    troubles: Callable[[], Sequence[ActiveTrouble]]
    holds: Callable[[ActiveTrouble], bool] = lambda active: True
    """Whether a trouble holds up rows now."""
    accounts: Callable[[], Sequence[str]]
    events: Callable[[str], Mapping[str, str]]
    """The goal of each event that is meant for an account."""
    goal_of: Callable[[str, str], str | None]
    held: Callable[[str, str | None], Reason | None] = lambda account, goal: None
    """Why rows of this account and goal wait."""
    shares: Callable[[], Mapping[str, Share]] = dict
    last_minute: Callable[[str], tuple[int, int]] = lambda account: (0, 0)
    """The calls of an account in the last minute, and how many there may be."""
    signed_in_until: Callable[[], UnixMillis | None] = lambda: None
    verdicts: StoredVerdicts | None = None


@dataclass(slots=True)
class OverviewCalls:
    """Answers with the overview; `checks` are those of the health page."""

    sources: OverviewSources
    checks: Callable[[], Awaitable[Mapping[HealthCheck, Check]]]
    _unwell_since: dict[HealthCheck, UnixMillis] = field(default_factory=dict)
    """Since when a check has been unwell that no trouble explains."""

    async def get(self, _: web.Request) -> web.Response:
        """How things are."""
        sources, now = self.sources, self.sources.now()
        checks = await self.checks()
        since = period_start(UnixSeconds(seconds(now) - DAY_SECONDS), HOUR_SECONDS)
        figures = await sources.tallies.figures(since, now)
        attributed = await self._attributed(now)
        return json_reply(self._answer(self._view(figures, checks, now), status_of(checks), attributed))

    async def _attributed(self, now: UnixMillis) -> Attributed:
        """Return the share of each account and goal that Microsoft attributed in the last days."""
        if self.sources.verdicts is None:
            return {}
        sums = await self.sources.verdicts.sums(first_recent_day(now))
        return {(one.account, one.goal): one.attributed_share for one in sums}

    def _view(self, figures: Figures, checks: Mapping[HealthCheck, Check], now: UnixMillis) -> View:
        sources = self.sources
        accounts = sources.accounts()

        def held(lane: Lane) -> Reason | None:
            goal = sources.goal_of(lane.account, lane.event)
            return Reason.UNMAPPED if goal is None else sources.held(lane.account, goal)

        events = [
            MappedEvent(account, event, goal, sources.held(account, goal))
            for account in accounts
            for event, goal in sources.events(account).items()
        ]
        troubles = sources.troubles()
        concerns = [self._concern(active, figures.lanes, accounts) for active in troubles]
        concerns += self._unexplained(checks, {active.check for active in troubles}, now)
        return View(figures, concerns, events, accounts, held, now)

    def _concern(self, active: ActiveTrouble, lanes: Sequence[Lane], accounts: Sequence[str]) -> Concern:
        trouble, holds = active.trouble, self.sources.holds(active)
        event = self._event_of(active)
        return Concern(
            message=replace(active, names_account=False).headline,
            since=active.since,
            account=active.account,
            subject=active.subject,
            check=active.check,
            about=_ABOUT.get(trouble.scope, ""),
            waits_for=cause_of(active, accounts) if holds else None,
            lanes=frozenset(lane.id for lane in held_by(active, lanes, self.sources.goal_of)) if holds else frozenset(),
            code=trouble.code,
            title=trouble.title,
            cause=_named(trouble.cause, active.account, event),
            fix=_named(trouble.solution, active.account, event),
            severity=_SEVERITIES[trouble.severity],
        )

    def _event_of(self, active: ActiveTrouble) -> str | None:
        """Return the event that a trouble is about, by its own name or by its goal's."""
        about = _ABOUT.get(active.trouble.scope)
        if about != "goal":
            return active.subject if about else None
        accounts = self.sources.accounts() if active.account is None else (active.account,)
        mapped = [
            event for name in accounts for event, goal in self.sources.events(name).items() if goal == active.subject
        ]
        return mapped[0] if mapped else None

    def _unexplained(
        self, checks: Mapping[HealthCheck, Check], explained: set[HealthCheck], now: UnixMillis
    ) -> list[Concern]:
        """Return what only a check shows, such as a disk that is nearly as full as it may be."""
        unwell = {
            name: check for name, check in checks.items() if check.status is not Level.OK and name not in explained
        }
        self._unwell_since = {name: self._unwell_since.get(name, now) for name in unwell}
        return [
            Concern(
                code=OF_CHECK[name].code if name in OF_CHECK else name,
                title=OF_CHECK[name].title if name in OF_CHECK else name,
                message=check.message.rstrip("."),
                cause=check.message,
                fix=check.fix or "",
                since=self._unwell_since[name],
                account=None,
                subject=None,
                severity=_SEVERITIES[Severity.ERROR if check.status is Level.DOWN else Severity.WARNING],
                check=name,
                about="",
            )
            for name, check in unwell.items()
        ]

    def _answer(self, view: View, state: Level, attributed: Attributed) -> Json:
        sources, ranked = self.sources, view.ranked()
        worst = ranked[0].concern if ranked else None
        counts = {
            "received": view.received().rows,
            **{each.value: view.received(each).rows for each in State},
        }
        return {
            "state": state,
            "version": sources.version,
            "headline": view.headline(ranked),
            "fix": worst.fix if worst else None,
            "since": text_or_none(worst.since) if worst else None,
            "first_received_at": text_or_none(view.figures.first_received_at),
            "troubles": [_trouble(each) for each in ranked],
            "counts_24h": counts,
            "received_24h": counts["received"],
            "delivered_24h": counts["delivered"],
            "waiting": [_waiting(part) for part in view.waiting()],
            "dead": {"rows": view.dead().rows, "value": values(view.dead().values)},
            "lag_seconds": view.lag_seconds,
            "match_share": match_share(tuple(sources.shares().values())),
            "accounts": [self._account(line, attributed) for line in view.account_lines()],
        }

    def _account(self, line: AccountLine, attributed: Attributed) -> Json:
        requests, limit = self.sources.last_minute(line.account)
        until = self.sources.signed_in_until()
        return {
            "account": line.account,
            "state": line.standing,
            "headline": line.headline,
            "fix": line.fix,
            "goals": [_goal(goal, attributed.get((line.account, goal.goal))) for goal in line.goals],
            "requests_last_minute": requests,
            "requests_limit": limit,
            "signed_in_until": None if until is None or until <= self.sources.now() else text_or_none(until),
        }


_ABOUT = {Scope.GOAL: "goal", Scope.EVENT: "event"}

_SEVERITIES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.ADVICE: "advice"}


def _named(text: str, account: str | None, event: str | None) -> str:
    """Return a text of the catalogue with the names of the account and the event, where they are known."""
    if account is not None:
        text = text.replace("<name>", account).replace("<account>", account)
    return text if event is None else text.replace("<event>", event)


def _trouble(ranked: Ranked) -> Json:
    concern = ranked.concern
    return {
        "code": concern.code,
        "title": concern.title,
        "headline": ranked.headline,
        "cause": concern.cause,
        "fix": concern.fix,
        "since": text_or_none(concern.since),
        "account": concern.account,
        "subject": concern.subject,
        "severity": concern.severity,
        "check": concern.check,
    }


def _waiting(part: WaitingPart) -> Json:
    expires = part.waiting.expires_at
    return {
        "reason": part.reason,
        "rows": part.waiting.rows,
        "value": values(part.waiting.values),
        "first_expiry_at": None if expires is None else text_of_seconds(expires),
    }


def _goal(line: GoalLine, attributed_share: float | None) -> Json:
    return {
        "goal": line.goal,
        "event": line.event,
        "state": line.standing,
        "headline": line.headline,
        "fix": line.fix,
        "delivered_24h": line.delivered.rows,
        "value_24h": values(line.delivered.values),
        "attributed_share": None if attributed_share is None else round(attributed_share, 4),
    }


def values(sums: Values) -> Json:
    """Return sums by currency as JSON numbers."""
    return {currency: number(plain_decimal(value)) for currency, value in sorted(sums.items()) if value}


def match_share(shares: Sequence[Share]) -> Json:
    """Return by identifier the share of the last conversions that carried it; null while there were none."""
    received = sum(share.received for share in shares)
    names = ("msclkid", "visitor", "email", "phone", "none")
    return {
        name: round(sum(getattr(share, name) for share in shares) / received, 4) if received else None for name in names
    }
