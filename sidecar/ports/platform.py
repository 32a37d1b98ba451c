"""What delivery and the catalogue ask of the ad platform."""

from collections.abc import Sequence
from typing import Protocol

from sidecar.core.answer import Answer, Lost, RefusedBatch
from sidecar.core.entry import Entry
from sidecar.core.goals.creation import Creation, NewGoal
from sidecar.core.goals.goal import Goal
from sidecar.core.waiting import Waiting as Waiting  # what `Outbox` answers with


class Platform(Protocol):
    """Where conversions go."""

    def knows(self, account: str) -> bool:
        """Whether the account is configured; its rows wait while it is not."""

    async def permit(self, account: str) -> None:
        """Wait until there is a token and the account's pace allows one more call. NotConnected when there is none."""

    def identity(self, account: str) -> str | None:
        """Which account it is there; None once it left the configuration."""

    async def upload(self, account: str, entries: Sequence[Entry]) -> Answer:
        """Send one batch. NotConnected when there is no token to send it with."""

    def sharing(self, account: str) -> Sequence[str]:
        """The accounts that share this one's limit, this one included."""

    def throttled(self, account: str) -> None:
        """Microsoft said "too many": all that share the limit come back slower."""

    def clean_answer(self, account: str) -> None:
        """A clean answer: climb back."""


class GoalPlatform(Protocol):
    """Where goals are. Each call takes its place in the account's pace; NotConnected when there is no token."""

    def identity(self, account: str) -> str | None:
        """Which account it is there: another one's goals say nothing of it. None once it left the configuration."""

    async def goals(self, account: str) -> Sequence[Goal] | RefusedBatch | Lost:
        """Every goal that the account can see."""

    async def auto_tagging(self, account: str) -> bool | RefusedBatch | Lost | None:
        """Whether click ids are added to landing addresses; None where nobody says."""

    async def create(self, account: str, new: Sequence[NewGoal]) -> Sequence[Creation | RefusedBatch | Lost]:
        """Create these goals: what became of each, in order; one that is refused stops no other. They cannot be
        deleted."""

    def sharing(self, account: str) -> Sequence[str]:
        """As `Platform.sharing`."""

    def throttled(self, account: str) -> None:
        """As `Platform.throttled`."""
