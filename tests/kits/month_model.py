"""What Microsoft must hold after a month, worked out from the contract alone; shares no code with the sidecar.

It goes through the month step by step and asks of each conversion that waits whether it may go now. The order within
a step is the shop's: first time moves on, then clicks come in, then sales, then refunds.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from month_history import DAY, HOUR, Click, History, Refund, Sale

CLICK_WAIT = HOUR
CLICK_SETTLE = HOUR
GOAL_SETTLE = 2 * HOUR
ADJUSTMENT_SETTLE = 6 * HOUR

ACCOUNT_IDS = {"main": "200000001", "other": "200000002"}
GOALS = {"purchase": "Shop Order", "lead": "Shop Lead", "signup": "Shop Signup"}
LEAD_RENAMED = "Shop Enquiry"
WINDOWS = {"purchase": 30 * DAY, "lead": 7 * DAY, "signup": 14 * DAY}
ENHANCED = {"purchase": True, "lead": True, "signup": False}
DEFAULT_VALUES = {"signup": Decimal("12.5")}
DEFAULT_CURRENCIES = {"purchase": "USD", "signup": "EUR"}
REVIVABLE = ("no_click", "outside_window")


@dataclass(frozen=True)
class Held:
    """One conversion as Microsoft has it."""

    account_id: str
    goal: str
    time: int
    click: str | None
    email: str | None
    phone: str | None
    value: Decimal | None
    currency: str | None


@dataclass(frozen=True)
class Adjusted:
    """One adjustment as Microsoft has it."""

    original: Held
    type: str
    value: Decimal | None
    currency: str | None


@dataclass
class Row:
    """What becomes of one conversion."""

    sale: Sale
    received: int
    state: str = "pending"
    reason: str | None = None
    value: Decimal | None = None
    held: Held | None = None
    sent_at: int | None = None
    not_before: int = 0
    """When it may go at the earliest, by its click, its wait and its goal; steps aside."""
    waiting: tuple[str, Decimal | None] | None = None
    """An adjustment on its way: its type, its value."""
    retracted: bool = False
    adjusted: list[tuple[Adjusted, int]] = field(default_factory=list)
    """What went out, and when."""


@dataclass
class Books:
    """Everything that the month must come to."""

    rows: dict[str, Row] = field(default_factory=dict)
    """By order id."""
    sales_answered: Counter[str] = field(default_factory=Counter)
    captured: int = 0
    """Reports of clicks."""
    refunds_answered: Counter[str] = field(default_factory=Counter)


class Oracle:
    """Lives the month again."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.books = Books()
        self._clicks: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        """What was told of an account's visitor: when each click happened."""
        self._waiting: dict[str, Row] = {}
        self._adjusting: dict[str, Row] = {}
        self._by_visitor: defaultdict[tuple[str, str | None], list[Row]] = defaultdict(list)

    def live(self) -> Books:
        """The whole month."""
        clicks, refunds = _by_step(self.history.clicks), _by_step(self.history.refunds)
        sales = _by_step(
            replace(sale, posted=step) for sale in self.history.sales for step in (sale.posted, *sale.again)
        )
        for step in range(self.history.steps):
            self._look(self._waiting.values(), step)
            self._adjust(step)
            self._capture(clicks[step], step)
            self._look([row for sale in sales[step] if (row := self._receive(sale, step))], step)
            for refund in refunds[step]:
                self._refund(refund, step)
            self._adjust(step)
        return self.books

    # --- What comes in -----------------------------------------------------------------------------------------------

    def _capture(self, clicks: Sequence[Click], step: int) -> None:
        """What waits for a click, or ended for want of one, is looked at again."""
        captured = [click for click in clicks if click.consent != "denied"]
        self.books.captured += len(captured)
        for click in captured:
            known = self._clicks[click.account, click.visitor]
            known[click.msclkid] = min(click.at, known.get(click.msclkid, click.at))
        for visitor in {(click.account, click.visitor) for click in captured}:
            rows = self._by_visitor[visitor]
            self._look([row for row in rows if row.state == "pending" or _may_be_revived(row)], step)

    def _receive(self, sale: Sale, step: int) -> Row | None:
        """The row, if it is a new one that is kept."""
        if sale.order_id in self.books.rows:
            self.books.sales_answered["replayed"] += 1
        elif sale.consent == "denied":
            self.books.sales_answered["consent_denied"] += 1
        elif not (sale.click or sale.visitor or sale.email or sale.phone):
            self.books.sales_answered["no_identifier"] += 1
        else:
            self.books.sales_answered["stored"] += 1
            return self._keep(sale, step)
        return None

    def _keep(self, sale: Sale, step: int) -> Row:
        value = DEFAULT_VALUES.get(sale.event) if sale.value is None else sale.value
        row = self.books.rows[sale.order_id] = Row(sale, self.history.time(step), value=value)
        self._waiting[sale.order_id] = row
        self._by_visitor[sale.account, sale.visitor].append(row)
        return row

    # --- Whether it may go -------------------------------------------------------------------------------------------

    def _look(self, rows: Iterable[Row], step: int) -> None:
        for row in list(rows):
            if self._open_since(row.sale.event, step) is None:
                row.state, row.reason = "pending", None
            else:
                self._decide(row, step)
            if row.state == "pending":
                self._waiting[row.sale.order_id] = row
            else:
                self._waiting.pop(row.sale.order_id, None)

    def _decide(self, row: Row, step: int) -> None:
        sale, now = row.sale, self.history.time(step)
        row.state, row.reason = "pending", None
        hashes = bool(sale.email or sale.phone) and ENHANCED[sale.event]
        click = self._click(sale)
        if click is not None:
            msclkid, clicked_at = click
            if sale.at - clicked_at > WINDOWS[sale.event]:
                self._on_hashes(row, step, row.received, hashes, "outside_window")
            elif clicked_at + CLICK_SETTLE <= now:
                self._send(row, step, msclkid, clicked_at + CLICK_SETTLE)
        elif sale.click is not None:
            self._send(row, step, sale.click, row.received)
        elif sale.visitor is None:
            self._on_hashes(row, step, row.received, hashes, "goal_not_enhanced")
        elif row.received + CLICK_WAIT <= now:
            self._on_hashes(row, step, row.received + CLICK_WAIT, hashes, "no_click")

    def _click(self, sale: Sale) -> tuple[str, int] | None:
        """The last captured one at or before its time; where it names a click itself, that one or none."""
        if sale.visitor is None:
            return None
        known = self._clicks[sale.account, sale.visitor].items()
        fitting = [(at, msclkid) for msclkid, at in known if at <= sale.at and sale.click in (None, msclkid)]
        if not fitting:
            return None
        at, msclkid = max(fitting)
        return msclkid, at

    def _on_hashes(self, row: Row, step: int, not_before: int, hashes: bool, reason: str) -> None:
        if hashes:
            self._send(row, step, None, not_before)
        else:
            row.state, row.reason = "skipped", reason

    def _send(self, row: Row, step: int, click: str | None, not_before: int) -> None:
        sale = row.sale
        row.state, row.sent_at = "delivered", self.history.time(step)
        row.not_before = max(row.received, not_before, self._open_since(sale.event, step) or 0)
        currency = sale.currency or DEFAULT_CURRENCIES.get(sale.event)
        row.held = Held(
            ACCOUNT_IDS[sale.account],
            self._goal(sale.event, step),
            sale.at,
            click,
            sha256(sale.email and sale.email.lower()),
            sha256(sale.phone and "+" + "".join(letter for letter in sale.phone if letter.isdigit())),
            row.value,
            None if row.value is None else currency,
        )

    # --- Goals and sign-in -------------------------------------------------------------------------------------------

    def _goal(self, event: str, step: int) -> str:
        """By the configuration of then."""
        return LEAD_RENAMED if event == "lead" and step >= self.history.story.reloaded else GOALS[event]

    def _open_since(self, event: str, step: int) -> int | None:
        """Since when conversions of an event can go, None while they cannot."""
        story, now = self.history.story, self.history.time(step)
        since = 0
        closed = [(story.revoked, story.signed_in)]
        if event == "signup":
            since = self.history.time(story.created) + GOAL_SETTLE
        if event == "lead":
            closed += [(story.paused, story.resumed), (story.renamed, story.reloaded)]
        for first, end in closed:
            if first <= step < end:
                return None
            if step >= end:
                since = max(since, self.history.time(end))
        return since if since <= now else None

    # --- Refunds -----------------------------------------------------------------------------------------------------

    def _refund(self, refund: Refund, step: int) -> None:
        row = self.books.rows.get(refund.order_id)
        self.books.refunds_answered[self._refunded(row, refund, step)] += 1

    def _refunded(self, row: Row | None, refund: Refund, step: int) -> str:
        """What becomes of the order, and how the refund is answered."""
        if row is None:
            return "not_found"
        if row.retracted:
            return "replayed" if refund.total is None else "conflict"
        if row.state == "delivered":
            row.retracted = refund.total is None
            row.waiting = ("Retract" if refund.total is None else "Restate", refund.total)
            self._adjusting[refund.order_id] = row
            return "stored"
        if row.state == "canceled":
            return "original_not_sent"
        if refund.total is None:
            row.state, row.reason, row.retracted = "canceled", "retracted", True
            self._waiting.pop(row.sale.order_id, None)
            return "retracted"
        row.value = refund.total
        return "applied_before_upload"

    def _adjust(self, step: int) -> None:
        """Send what is on its way, six hours after its original at the earliest; a later one has taken its place."""
        now = self.history.time(step)
        for row in list(self._adjusting.values()):
            due = row.sent_at is not None and row.sent_at + ADJUSTMENT_SETTLE <= now
            if due and row.held and row.waiting and self._open_since(row.sale.event, step) is not None:
                type_, value = row.waiting
                currency = None if value is None else row.held.currency
                row.adjusted.append((Adjusted(row.held, type_, value, currency), now))
                row.waiting = None
                del self._adjusting[row.sale.order_id]


def _may_be_revived(row: Row) -> bool:
    return row.reason in REVIVABLE


def _by_step(items: Iterable) -> defaultdict[int, list]:  # type: ignore[type-arg]
    found: defaultdict[int, list] = defaultdict(list)  # type: ignore[type-arg]
    for item in items:
        found[item.posted].append(item)
    return found


def sha256(text: str | None) -> str | None:
    """As Microsoft wants it: lower case hexadecimal digits."""
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def unix_seconds(text: str) -> int:
    """A time as it stands in Microsoft's books."""
    return int(datetime.fromisoformat(text).timestamp())
