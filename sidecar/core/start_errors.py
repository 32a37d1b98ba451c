"""What keeps the sidecar from starting, in one sentence with what to do about it. The system's errors in, words out."""

import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path

PRIVILEGED_PORTS = 1024
"""Those below are for root, or for a process with CAP_NET_BIND_SERVICE: https://man7.org/linux/man-pages/man7/ip.7.html"""


def cannot_listen(host: str, port: int, error: OSError, *, host_key: str, port_key: str) -> str:
    """Why `host` and `port`, which the settings of these names give, cannot be listened on."""
    shown = f"[{host}]" if ":" in host else host
    return f"cannot listen on {shown}:{port}: {_words(error)}; {_listening_fix(port, error, host_key, port_key)}"


def _listening_fix(port: int, error: OSError, host_key: str, port_key: str) -> str:
    if isinstance(error, socket.gaierror):
        return f"give {host_key} a name that this machine knows, or an address of it"
    match error.errno:
        case errno.EADDRINUSE:
            return f"stop what listens there (`ss -ltnp` names it), or give {port_key} another number"
        case errno.EACCES | errno.EPERM if 0 < port < PRIVILEGED_PORTS:
            return f"ports below {PRIVILEGED_PORTS} need special rights: give {port_key} a higher number"
        case errno.EADDRNOTAVAIL | errno.EINVAL:
            return f"no network of this machine has that address: give {host_key} one of its own, 127.0.0.1 or 0.0.0.0"
        case errno.EAFNOSUPPORT:
            return f"this machine has no IPv6: give {host_key} an IPv4 address, such as 127.0.0.1"
        case _:
            return f"give {host_key} and {port_key} others, or look at what the system forbids this process"


_RIGHTS = "give the user of this process the right to write there, or name another file in storage.url"
_ROOM = "make room on that disk, or name a file on another one in storage.url"
_PLACE = "name a file in storage.url whose folder exists or can be made"

_FIXES: Mapping[int, str] = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "that file system is read-only: mount it for writing, or name a file on another one in storage.url",
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EISDIR: "name a file in storage.url, not a folder",
    errno.ENOTDIR: _PLACE,
    errno.EEXIST: _PLACE,
    errno.ENOENT: _PLACE,
    errno.ENAMETOOLONG: "give storage.url a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle: name another file in storage.url",
    errno.EMFILE: "allow this process more open files (`ulimit -n`)",
    errno.ENFILE: "this machine has too many open files: close some, or raise fs.file-max",
    errno.EIO: "look at the disk (`dmesg`, SMART), then start again",
}


def cannot_open(what: str, path: Path, error: OSError) -> str:
    """Why the file `path`, of which `what` says what it is, cannot be opened or made."""
    return f"{what} {path} cannot be opened: {_words(error)}; {_FIXES.get(error.errno or 0, _RIGHTS)}"


def _words(error: OSError) -> str:
    """The system's own words, without what Python or asyncio put around them."""
    if isinstance(error, socket.gaierror) or not error.errno or error.errno < 0:
        return error.strerror or type(error).__name__
    return os.strerror(error.errno)
