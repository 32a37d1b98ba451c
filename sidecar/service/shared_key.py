"""The API key that the first start creates in the database of a server, where one is needed and none is configured.

Every replica has the same one. It is sealed as the sign-in is, with storage.encryption_key.
"""

import asyncio
import secrets as random_source

from sidecar.ports.errors import LostKey, OutboxRefused
from sidecar.ports.upkeep import Secrets
from sidecar.service.api_key import usable_key
from sidecar.store.opening import stored_secret
from sidecar.store.vault import Vault, is_plain

NAME = "api_key"


async def shared_key(secrets: Secrets, vault: Vault) -> tuple[str, bool]:
    """Return the key, and whether it is new. LostKey when the stored one cannot be read.

    Of replicas that start at once one stores its key, and all take that one.
    """
    kept = await secrets.get(NAME)
    if kept is not None:
        return await _opened(secrets, vault, kept), False
    key = random_source.token_urlsafe(32)
    sealed = await asyncio.to_thread(vault.seal, NAME, key)
    kept = await secrets.add(NAME, sealed)
    return (key, True) if kept == sealed else (await _opened(secrets, vault, kept), False)


def key_on_server(url: str, passphrase: str) -> str | None:
    """The key in the database at `url`, for a verb that calls its sidecar; None where none can be read."""
    try:
        kept = stored_secret(url, NAME)
        return None if kept is None else usable_key(Vault(passphrase).open(NAME, kept))
    except (LostKey, OutboxRefused):
        return None


async def _opened(secrets: Secrets, vault: Vault, kept: str) -> str:
    """The text of the stored key; one that was stored in plain is sealed now, if there is a passphrase."""
    key = usable_key(await asyncio.to_thread(vault.open, NAME, kept))
    if key is None:
        raise LostKey("the stored API key was damaged")
    if is_plain(kept) and vault.seals:
        await secrets.put(NAME, await asyncio.to_thread(vault.seal, NAME, key))
    return key
