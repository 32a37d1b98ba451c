"""The key that is made at first start where one is needed and none is configured; it lies beside the database."""

import errno
import os
import re
import secrets
from pathlib import Path

from sidecar.system import small_files


def kept_key(database: Path) -> tuple[str, Path, bool]:
    """The key, the file it lies in (mode 0600), and whether it was made just now. OSError when it cannot be kept.

    A file without a usable key, as a crash may leave it, gets a new one: an empty key would let everyone in.
    """
    path = _path(database)
    kept = _read_own(path)
    if kept is not None:
        return kept, path, False
    key = secrets.token_urlsafe(32)
    _write(path, f"{key}\n")
    return key, path, True


def key_beside(database: Path) -> str | None:
    """The key that an earlier start made; None where there is none. OSError when it cannot be read."""
    try:
        return _usable(small_files.read(_path(database)))  # its owner need not be the one who asks
    except FileNotFoundError:
        return None


def _path(database: Path) -> Path:
    return database.with_name(f"{database.name}.api-key").absolute()


def _read_own(path: Path) -> str | None:
    """PermissionError when the key may be known to others."""
    try:
        content, complaint = small_files.read_own(path)
    except FileNotFoundError:
        return None
    key = _usable(content)
    if key is not None and complaint is not None:
        raise PermissionError(errno.EPERM, complaint, str(path))
    return key


def _usable(content: bytes) -> str | None:
    text = content.decode(errors="replace").strip()
    return text if re.fullmatch("[!-~]{16,}", text) else None


def _write(path: Path, text: str) -> None:
    """The whole text or nothing, on disk when this returns."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
