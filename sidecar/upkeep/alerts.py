"""Posts troubles to the alerts' webhook: those that were raised, those that are over, and those that are still there.

What goes when is decided in `core.alerts`. The memory is the truth and the table its copy, so that the trouble of a
disk that cannot be written is posted too; after a crash a message may then be posted twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sidecar import loops
from sidecar.core import alerts as rules_of
from sidecar.core.alert_message import AlertFormat, AlertMessage, body_of, lasted
from sidecar.core.alerts import Alert, AlertKey, AlertRules, AlertState, DueMessage
from sidecar.core.instant import EPOCH, UnixMillis
from sidecar.core.retry import webhook_delay_millis
from sidecar.core.waiting_summary import Waiting
from sidecar.ports.alerts import Reception, StoredAlerts, Webhook
from sidecar.ports.errors import StorageUnavailable
from sidecar.telemetry import ActiveTrouble, Telemetry
from sidecar.troubles import CATALOGUE

FAILING = "alerts_failing"
"""The trouble of the webhook itself, which is never posted."""

FAILURES = 3
"""Messages in a row that were not taken before a person is asked to look; at once where a repeat helps nothing."""

STORE_SECONDS = 5.0
"""How long a message waits for the disk before it goes out all the same."""

RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Stake:
    """What waits for the end of a trouble, as numbers and as a sentence; None where nothing does."""

    waiting: Waiting | None = None
    sentence: str | None = None


@dataclass(slots=True)
class Alerts:
    """Watches the active troubles, and posts one message at a time. `dashboard` is the address of the page."""

    store: StoredAlerts
    webhook: Webhook
    form: AlertFormat
    rules: AlertRules
    telemetry: Telemetry
    stake: Callable[[ActiveTrouble], Awaitable[Stake]]
    now: Callable[[], UnixMillis]
    chance: Callable[[], float]
    version: str
    dashboard: str = ""
    is_ours: Callable[[], bool] = lambda: True
    """Whether this replica alone posts now."""
    _is_restored: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _alerts: dict[AlertKey, Alert] = field(default_factory=dict)
    _unsaved: set[AlertKey] = field(default_factory=set)
    _missing: set[AlertKey] = field(default_factory=set)
    """Active before the start, and not found again yet."""
    _missing_until: UnixMillis = EPOCH
    _post_after: UnixMillis = EPOCH
    _failures: int = 0
    _testing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, dashboard: str) -> None:
        """Post until cancelled."""
        self.dashboard = dashboard
        self.telemetry.board.on_change = self.wake
        reporter = self.telemetry.service
        await loops.run_forever(
            self._step, wake=self._wake, reporter=reporter, where="alerts", retry_seconds=RETRY_SECONDS
        )

    def wake(self) -> None:
        """Look at the troubles now."""
        self._wake.set()

    async def test(self) -> Reception:
        """Post a message that says that it is a test, before all that waits."""
        now = self.now()
        message = AlertMessage(
            alert=Alert("test", None, None, now),
            state=AlertState.TEST,
            title="The alerts of the sidecar arrive here",
            details=("This is a test: somebody asked for it with `sidecar alerts test`. Nothing is wrong",),
            fix="Nothing to do.",
            severity="advice",
            waiting=None,
            dashboard=self.dashboard,
            version=self.version,
        )
        async with self._testing:
            return await self._post(message)

    async def _is_ready(self) -> bool:
        """Whether it is this replica that posts, with what the one before it has stored."""
        if not self.is_ours():
            self._is_restored = False
        elif not self._is_restored:
            await self._restore()
            self._is_restored = True
        return self._is_restored

    async def _restore(self) -> None:
        with loops.reported(self.telemetry.service, "alerts"):
            stored = await self.store.load()
            self._alerts = {alert.key: alert for alert in stored if alert.code in CATALOGUE}
        self._missing = {key for key, alert in self._alerts.items() if alert.ended_at is None}
        self._missing_until = UnixMillis(self.now() + self.rules.grace_millis)

    async def _step(self) -> float | None:
        """Post what is due; return the seconds until there may be something again."""
        if not await self._is_ready():
            return None
        now = self.now()
        self._observe(now)
        await self._save()
        due = rules_of.next_message(self._alerts.values(), self.rules, self._missing)
        if due is not None and max(due.due_at, self._post_after) <= now:
            await self._deliver(due)
            due = rules_of.next_message(self._alerts.values(), self.rules, self._missing)
        return self._seconds_until(due)

    def _seconds_until(self, due: DueMessage | None) -> float | None:
        if self._unsaved:
            return RETRY_SECONDS
        instants = [self._missing_until] if self._missing else []
        if due is not None:
            instants.append(max(due.due_at, self._post_after))
        return max(0.0, (min(instants) - self.now()) / 1000) if instants else None

    def _observe(self, now: UnixMillis) -> None:
        """Take over what became of the troubles, but for the webhook's own."""
        active = {one.key: one.since for one in self.telemetry.board.everywhere() if one.code != FAILING}
        self._missing = set() if now >= self._missing_until else self._missing - active.keys()
        before = self._alerts
        self._alerts = rules_of.observed(before, active, now, self._missing)
        self._unsaved |= {
            key for key in before.keys() | self._alerts.keys() if before.get(key) != self._alerts.get(key)
        }

    async def _save(self) -> None:
        """Store what changed. Where the disk does not take it, it stays to be saved."""
        if not self._unsaved:
            return
        saving = frozenset(self._unsaved)
        changed = [self._alerts[key] for key in saving if key in self._alerts]
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self.store.save(changed, saving - self._alerts.keys())
        except (StorageUnavailable, TimeoutError):  # the telemetry that could not be written reports it
            return
        self._unsaved -= saving

    def _keep(self, key: AlertKey, alert: Alert | None) -> None:
        if alert is None:
            self._alerts.pop(key, None)
        else:
            self._alerts[key] = alert
        self._unsaved.add(key)

    async def _deliver(self, due: DueMessage) -> None:
        """Post one message, and note it before and after: an answer may be lost."""
        message = await self._message(due)
        key = due.alert.key
        self._keep(key, rules_of.sent(due.alert))
        await self._save()
        reception = await self._post(message)
        now = self.now()
        if reception.is_taken:
            self._keep(key, rules_of.taken(due, now))
        self._reckon(reception, now)
        await self._save()

    async def _post(self, message: AlertMessage) -> Reception:
        reception = await self.webhook.post(body_of(message, self.form))
        self.telemetry.service.alert_posted(message.state, message.title, reception.status, reception.error)
        return reception

    def _reckon(self, reception: Reception, now: UnixMillis) -> None:
        """Decide when the next message may go, and whether the webhook is a trouble of its own."""
        if reception.is_taken:
            self._failures, self._post_after = 0, UnixMillis(now + self.rules.pause_millis)
            self.telemetry.service.trouble_cleared(FAILING)
            return
        asked = int(1000 * (reception.retry_after_seconds or 0))
        delay = max(asked, webhook_delay_millis(self._failures, self.chance()))
        self._failures += 1
        self._post_after = UnixMillis(now + delay)
        if self._failures >= FAILURES or reception.is_final:
            said = f": {reception.answer}" if reception.answer else ""
            self.telemetry.service.trouble_raised(FAILING, detail=f"{reception.error}{said}")

    async def _message(self, due: DueMessage) -> AlertMessage:
        alert, trouble = due.alert, CATALOGUE[due.alert.code]
        active = next((one for one in self.telemetry.board.everywhere() if one.key == alert.key), None)
        if due.state is AlertState.CLEARED or active is None:
            stake = Stake()
            details: tuple[str, ...] = (
                f"It is over, after {lasted((alert.ended_at or self.now()) - alert.raised_at)}",
            )
        else:
            stake = await self._stake(active)
            details = tuple(_capital(text) for text in (stake.sentence, active.detail) if text)
        return AlertMessage(
            alert=alert,
            state=due.state,
            title=_name(alert),
            details=details,
            fix=_fix(alert),
            severity=trouble.severity.name.lower(),
            waiting=stake.waiting,
            dashboard=self.dashboard,
            version=self.version,
        )

    async def _stake(self, active: ActiveTrouble) -> Stake:
        """Without numbers where the store cannot be read: that very trouble has to go out."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                return await self.stake(active)
        except Exception:
            return Stake()


def _name(alert: Alert) -> str:
    """`Conversion goal not found: Sidecar Purchase (account main)`."""
    subject = f": {alert.subject}" if alert.subject else ""
    account = f" (account {alert.account})" if alert.account not in (None, alert.subject) else ""
    return f"{CATALOGUE[alert.code].title}{subject}{account}"


def _fix(alert: Alert) -> str:
    """What to do, with the account in place of its placeholders."""
    words = CATALOGUE[alert.code].solution
    if alert.account is None:
        return words
    return words.replace("<name>", alert.account).replace("<account>", alert.account)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
