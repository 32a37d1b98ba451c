"""The leases of a file: its one owner holds everything, as long as it runs."""

from collections.abc import Collection, Mapping, Sequence

from sidecar.ports.leases import TOKEN, UPKEEP, Held, News


class OwnersLeases:
    """Implements `ports.Leases` without a statement."""

    is_shared = False
    lease_seconds = float("inf")

    async def beat(self, accounts: Sequence[str], giving: Collection[str] = ()) -> Held:
        return Held(frozenset(accounts), frozenset((UPKEEP, TOKEN)))

    async def look(self) -> News:
        return News()

    async def announce(self, changes: Collection[str]) -> None:
        """No other process could hear it."""

    async def due_accounts(self, accounts: Collection[str]) -> Collection[str]:
        return ()

    async def publish(self, standing: str) -> None:
        """No other process could see it."""

    async def published(self) -> Mapping[str, str]:
        return {}

    async def release(self, accounts: Collection[str]) -> None:
        """No other process could take them."""

    async def leave(self) -> None:
        """The lock on the file ends with the process."""
