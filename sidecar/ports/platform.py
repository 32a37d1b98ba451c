"""What delivery and the catalogue of goals ask of the ad platform."""

from collections.abc import Sequence
from typing import Protocol

from sidecar.core.answer import Answer, Lost, RefusedBatch
from sidecar.core.entry import Entry
from sidecar.core.goals.creation import Creation, NewGoal
from sidecar.core.goals.goal import Goal


class Platform(Protocol):
    """Where conversions go."""

    def knows(self, account: str) -> bool:
        """Whether the account is configured, and has ids; its rows wait while it does not."""

    async def permit(self, account: str) -> None:
        """Wait until there is a token and the account's pace allows one more call. NotConnected when there is none."""

    def identity(self, account: str) -> str | None:
        """Return which account this is at the platform; None while it has no ids, or once it left the configuration."""

    async def upload(self, account: str, entries: Sequence[Entry]) -> Answer:
        """Send one batch. NotConnected when there is no token to send it with."""

    def sharing(self, account: str) -> Sequence[str]:
        """Return the accounts that share this one's rate limit, this one included."""

    def throttled(self, account: str) -> None:
        """Lower the rate of all accounts that share the limit: Microsoft answered "too many requests"."""

    def clean_answer(self, account: str) -> None:
        """Raise the rate again after a clean answer."""


class GoalPlatform(Protocol):
    """Where goals are. Each call counts against the account's rate; NotConnected when there is no token."""

    async def permit(self, account: str) -> None:
        """As `Platform.permit`."""

    def identity(self, account: str) -> str | None:
        """As `Platform.identity`: goals of another identity are not this account's."""

    async def goals(self, account: str) -> Sequence[Goal] | RefusedBatch | Lost:
        """Return every goal that the account can see."""

    async def auto_tagging(self, account: str) -> bool | RefusedBatch | Lost | None:
        """Return whether click ids are added to landing addresses; None if Microsoft does not say."""

    async def create(self, account: str, new: Sequence[NewGoal]) -> Sequence[Creation | RefusedBatch | Lost]:
        """Create these goals, which cannot be deleted again. Returns each result; a refusal stops no other goal."""

    def sharing(self, account: str) -> Sequence[str]:
        """As `Platform.sharing`."""

    def throttled(self, account: str) -> None:
        """As `Platform.throttled`."""
