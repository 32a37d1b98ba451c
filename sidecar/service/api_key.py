"""The API key that the first start creates beside the database, where one is needed and none is configured."""

import errno
import os
import re
import secrets
from pathlib import Path

from sidecar.system import small_files


def stored_key(database: Path) -> tuple[str, Path, bool]:
    """Return the key, its file (mode 0600), and whether it is new. OSError if it cannot be stored.

    A file without a usable key, which a crash may leave, gets a new one: an empty key would let everyone in.
    """
    path = _path(database)
    kept = _read_own(path)
    if kept is not None:
        return kept, path, False
    key = secrets.token_urlsafe(32)
    _write(path, f"{key}\n")
    return key, path, True


def key_beside(database: Path) -> str | None:
    """Return the key that an earlier start created; None if there is none. OSError if it cannot be read."""
    try:
        content = small_files.read(_path(database))  # another user may have created it
    except FileNotFoundError:
        return None
    return usable_key(content.decode(errors="replace"))


def _path(database: Path) -> Path:
    return database.with_name(f"{database.name}.api-key").absolute()


def _read_own(path: Path) -> str | None:
    """Read the key; PermissionError if others may know it."""
    try:
        content, complaint = small_files.read_own(path)
    except FileNotFoundError:
        return None
    key = usable_key(content.decode(errors="replace"))
    if key is not None and complaint is not None:
        raise PermissionError(errno.EPERM, complaint, str(path))
    return key


def usable_key(text: str) -> str | None:
    """The stored text as a key; None for one that is no key: an empty one would let everyone in."""
    text = text.strip()
    return text if re.fullmatch("[!-~]{16,}", text) else None


def _write(path: Path, text: str) -> None:
    """Write the whole text or nothing, on disk on return."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
