"""The refresh token at rest: sealed, and tied to the configured one it grew from.

One that was stored before there was a key is sealed as soon as it is read. Works over any store's `Secrets`; when to
refresh, and what for, is for `microsoft.tokens`.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Mapping

from sidecar.core.instant import UnixMillis
from sidecar.ports.errors import LostKey, StorageUnavailable
from sidecar.ports.tokens import AccessToken
from sidecar.ports.upkeep import Secrets
from sidecar.store.vault import Vault, is_plain

_NAME, _ACCESS, _SIGN_IN = "refresh_token", "access_token", "sign_in:"

_DAMAGED = "the stored sign-in was damaged. Sign in again at /connect"


class SealedTokens:
    """Keeps the newest refresh token. `seed` is microsoft.refresh_token, empty when the sign-in goes over /connect.

    The stored token carries a digest of the seed that was configured when it was stored: another seed than that one
    replaces it, the same one never does, so that a restart keeps what was rotated since.
    """

    def __init__(self, secrets: Secrets, vault: Vault, seed: str = "", *, always_seed: bool = False) -> None:
        """`always_seed` begins with the seed at each start, for one that never dies: the emulator may lose its memory.

        What is loaded later, another replica of this time has stored.
        """
        self._secrets = secrets
        self._vault = vault
        self._seed = seed
        self._starts_from_seed = always_seed
        self._stored_digest = ""

    async def load(self) -> str | None:
        """The refresh token to start with, None when there is none; LostKey when the stored one cannot be used."""
        try:
            stored = await self._stored()
        except LostKey:
            if self._seed:
                return self._seed
            raise
        self._stored_digest = stored.get("seed_sha256") or ""
        starts_from_seed, self._starts_from_seed = self._starts_from_seed, False
        if self._seed and (starts_from_seed or _digest(self._seed) != self._stored_digest):
            return self._seed
        return stored.get("refresh_token") or None

    async def save(self, refresh_token: str) -> None:
        """Keep `refresh_token` in place of the one before; it is on disk on return. StorageUnavailable when not."""
        digest = _digest(self._seed) if self._seed else self._stored_digest
        text = json.dumps({"refresh_token": refresh_token, "seed_sha256": digest})
        await self._keep(text)

    async def forget(self) -> None:
        """Delete the refresh token, whose seed does not replace it. StorageUnavailable when it stays."""
        digest = _digest(self._seed) if self._seed else self._stored_digest
        await self._keep(json.dumps({"refresh_token": None, "seed_sha256": digest}))

    async def _keep(self, text: str) -> None:
        await self._secrets.put(_NAME, await asyncio.to_thread(self._vault.seal, _NAME, text))

    async def _stored(self) -> dict[str, str | None]:
        sealed = await self._secrets.get(_NAME)
        if sealed is None:
            return {}
        text = await asyncio.to_thread(self._vault.open, _NAME, sealed)
        if is_plain(sealed) and self._vault.seals:
            with contextlib.suppress(StorageUnavailable):  # no reason to stop: the next one that is stored is sealed
                await self._keep(text)
        return _read(text)


class SealedAccess:
    """The access token at rest, for replicas that share a sign-in; implements `microsoft.shared_token.StoredAccess`."""

    def __init__(self, secrets: Secrets, vault: Vault) -> None:
        self._secrets = secrets
        self._vault = vault

    async def load(self) -> AccessToken | None:
        """The stored token, an empty one after a sign-out; None when there is none, or when another key sealed it."""
        sealed = await self._secrets.get(_ACCESS)
        if not sealed:
            return None
        with contextlib.suppress(LostKey, ValueError):
            value, expires_at = json.loads(await asyncio.to_thread(self._vault.open, _ACCESS, sealed))
            return AccessToken(value, UnixMillis(expires_at))
        return None

    async def save(self, token: AccessToken) -> None:
        await self._keep([token.value, token.expires_at])

    async def forget(self) -> None:
        await self._keep(["", 0])

    async def _keep(self, content: list[str | int]) -> None:
        text = json.dumps(content)
        await self._secrets.put(_ACCESS, await asyncio.to_thread(self._vault.seal, _ACCESS, text))


class SealedSignIns:
    """Sign-ins that were begun, for the replica where their callback arrives; each is taken once."""

    def __init__(self, secrets: Secrets, vault: Vault) -> None:
        self._secrets = secrets
        self._vault = vault

    async def put(self, state: str, flow: str) -> None:
        """Keep what the callback of `state` needs. StorageUnavailable when not."""
        name = _sign_in(state)
        await self._secrets.put(name, await asyncio.to_thread(self._vault.seal, name, flow))

    async def take(self, state: str, since: UnixMillis) -> str | None:
        """Delete and return it; None when it was taken, never begun, or begun before `since`."""
        name = _sign_in(state)
        sealed = await self._secrets.take(name, _SIGN_IN, since)
        return None if sealed is None else await asyncio.to_thread(self._vault.open, name, sealed)


def _sign_in(state: str) -> str:
    """Its name: the state itself is as good as a password until the callback has come."""
    return _SIGN_IN + hashlib.sha256(state.encode()).hexdigest()


class GlancedSecrets:
    """Secrets as a look at an outbox found them: they can be read, not written."""

    def __init__(self, sealed: Mapping[str, str]) -> None:
        self._sealed = sealed

    async def get(self, name: str) -> str | None:
        return self._sealed.get(name)

    async def put(self, name: str, value: str) -> None:
        raise StorageUnavailable("storage_failed", "the outbox was only looked at")

    async def add(self, name: str, value: str) -> str:
        raise StorageUnavailable("storage_failed", "the outbox was only looked at")

    async def take(self, name: str, kind: str, since: UnixMillis) -> str | None:
        raise StorageUnavailable("storage_failed", "the outbox was only looked at")


def _read(text: str) -> dict[str, str | None]:
    """What was stored; LostKey when `save` did not write it so: as without a key, a new sign-in is needed."""
    try:
        stored = json.loads(text)
    except (ValueError, RecursionError):
        raise LostKey(_DAMAGED) from None
    fields = stored.items() if isinstance(stored, dict) else ()
    if not fields or not all(value is None or (isinstance(value, str) and _is_text(value)) for _, value in fields):
        raise LostKey(_DAMAGED)
    return dict(fields)


def _is_text(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _digest(seed: str) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()
