"""Sealing of small texts at rest: AES-GCM under a key derived from the configured passphrase.

Knows no database and no tokens; what is sealed, and where it lies, is for `tokens` and the stores.
"""

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING

from sidecar.ports.errors import LostKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PLAIN = "plain:"
_SEALED = "aes256gcm-scrypt:"
_SALT_BYTES = 16
_NONCE_BYTES = 12

_LOST = (
    "the stored sign-in is sealed with another key than storage.encryption_key holds now, or was damaged. Set the "
    "earlier key and restart, or sign in again at /connect"
)


def is_plain(stored: str) -> bool:
    """Whether a vault without a passphrase stored it: anyone can read it."""
    return stored.startswith(_PLAIN)


class Vault:
    """Seals with `passphrase`; with an empty one it stores as is, marked as such.

    Deriving a key takes some 50 ms of CPU, once per salt: call off the event loop.
    """

    def __init__(self, passphrase: str) -> None:
        self._passphrase = passphrase.encode()
        self._salt = secrets.token_bytes(_SALT_BYTES)
        self._keys: dict[bytes, AESGCM] = {}

    def __repr__(self) -> str:
        return "Vault(***)"

    @property
    def seals(self) -> bool:
        """Whether what it stores cannot be read by others."""
        return bool(self._passphrase)

    def seal(self, name: str, text: str) -> str:
        """`text` sealed so that only `open` under the same `name` and passphrase gives it back."""
        if not self._passphrase:
            return _PLAIN + text
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._key(self._salt).encrypt(nonce, text.encode(), name.encode())
        return _SEALED + base64.b64encode(self._salt + nonce + sealed).decode()

    def open(self, name: str, stored: str) -> str:
        """The text that was sealed; LostKey when the passphrase is another one, or it was damaged."""
        if is_plain(stored):
            return stored.removeprefix(_PLAIN)
        if not stored.startswith(_SEALED) or not self._passphrase:
            raise LostKey(_LOST)
        from cryptography.exceptions import InvalidTag

        try:
            return self._opened(name, base64.b64decode(stored.removeprefix(_SEALED), validate=True))
        except (InvalidTag, ValueError):
            raise LostKey(_LOST) from None

    def _opened(self, name: str, sealed: bytes) -> str:
        salt, nonce = sealed[:_SALT_BYTES], sealed[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
        text = self._key(salt).decrypt(nonce, sealed[_SALT_BYTES + _NONCE_BYTES :], name.encode())
        self._salt = salt  # one derivation serves what is sealed from now on, too
        return text.decode()

    def _key(self, salt: bytes) -> "AESGCM":
        """scrypt with the parameters of its author for interactive use: RFC 7914, section 2."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 7 MiB, which a vault that seals nothing spares

        if salt not in self._keys:
            derived = hashlib.scrypt(self._passphrase, salt=salt, n=2**14, r=8, p=1, dklen=32)
            self._keys = {salt: AESGCM(derived)}
        return self._keys[salt]
