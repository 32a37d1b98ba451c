"""What alerts ask of the world: a small table, and a webhook."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sidecar.core.alerts import Alert, AlertKey


class StoredAlerts(Protocol):
    """Stores what the webhook heard of each trouble."""

    async def load(self) -> Sequence[Alert]:
        """Return every alert, as last saved."""

    async def save(self, changed: Collection[Alert], gone: Collection[AlertKey]) -> None:
        """Store the changed alerts and delete those that are gone, behind all other work; durable when it returns."""


@dataclass(frozen=True, slots=True)
class Reception:
    """What became of a message. `answer` is the beginning of the webhook's own text, `error` why it was not taken."""

    status: int | None
    answer: str
    error: str | None = None
    retry_after_seconds: float | None = None
    """How long the webhook asks to wait."""

    @property
    def is_taken(self) -> bool:
        """Whether the webhook has the message."""
        return self.error is None

    @property
    def is_final(self) -> bool:
        """Whether repeating the message helps nothing until someone acts: a redirect, or an address that refuses it."""
        return self.status is not None and 300 <= self.status < 500 and self.status not in (408, 425, 429)


class Webhook(Protocol):
    """Where messages go."""

    async def post(self, body: dict[str, Any]) -> Reception:
        """Post the message once, in bounded time. Never raises for what the other side does."""
