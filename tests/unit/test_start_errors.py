"""What keeps the sidecar from starting: one sentence each, that says what to do."""

import errno
import os
import socket
from pathlib import Path

import pytest

from sidecar.core.start_errors import cannot_listen, cannot_open


def listening(error: OSError, host: str = "127.0.0.1", port: int = 8077) -> str:
    return cannot_listen(host, port, error, host_key="server.host", port_key="server.port")


@pytest.mark.parametrize(
    ("error", "port", "words", "key"),
    [
        (OSError(errno.EADDRINUSE, "error while attempting to bind"), 8077, "stop what listens there", "server.port"),
        (PermissionError(errno.EACCES, "x"), 80, "ports below 1024 need special rights", "server.port"),
        (PermissionError(errno.EPERM, "x"), 443, "ports below 1024 need special rights", "server.port"),
        (PermissionError(errno.EACCES, "x"), 8077, "what the system forbids", "server.port"),
        (OSError(errno.EADDRNOTAVAIL, "x"), 8077, "no network of this machine has that address", "server.host"),
        (OSError(errno.EINVAL, "x"), 8077, "no network of this machine has that address", "server.host"),
        (OSError(errno.EAFNOSUPPORT, "x"), 8077, "no IPv6", "server.host"),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            8077,
            "a name that this machine",
            "server.host",
        ),
        (OSError("odd"), 8077, "give server.host and server.port others", "server.port"),
    ],
)
def test_an_address_that_cannot_be_had_says_which_key_to_change(
    error: OSError, port: int, words: str, key: str
) -> None:
    told = listening(error, port=port)
    assert told.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert words in told
    assert key in told
    assert "bind" not in told
    assert "\n" not in told


def test_ipv6_address_is_separated_from_its_port() -> None:
    assert listening(OSError(errno.EADDRINUSE, "x"), host="::1").startswith(
        "cannot listen on [::1]:8077: Address already"
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "the right to write there"),
        (errno.EPERM, "the right to write there"),
        (errno.EROFS, "read-only"),
        (errno.ENOSPC, "make room on that disk"),
        (errno.EDQUOT, "make room on that disk"),
        (errno.EISDIR, "not a folder"),
        (errno.ENOTDIR, "whose folder exists or can be made"),
        (errno.ENOENT, "whose folder exists or can be made"),
        (errno.ENAMETOOLONG, "shorter name"),
        (errno.ELOOP, "in a circle"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "look at the disk"),
    ],
)
def test_a_file_that_cannot_be_opened_says_why_and_what_to_do(number: int, words: str) -> None:
    told = cannot_open("the outbox", Path("/data/outbox.db"), OSError(number, "x"))
    assert told.startswith(f"the outbox /data/outbox.db cannot be opened: {os.strerror(number)}; ")
    assert words in told
