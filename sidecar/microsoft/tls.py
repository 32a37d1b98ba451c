"""The one TLS context of all clients: the system's root certificates, and those of the operator or the emulator.

https://docs.python.org/3/library/ssl.html#ssl.create_default_context
"""

import ssl
from collections.abc import Callable
from pathlib import Path

from sidecar.system import small_files


class UnusableRoots(Exception):
    """Added root certificates that cannot be read; the message names them and the expected form."""


def context(ca_bundle: Path | None, extra_ca_pem: str | None = None) -> ssl.SSLContext:
    """A verifying client context: system roots, plus the PEM file `ca_bundle` and the PEM text `extra_ca_pem`.

    Raises UnusableRoots when one of these is no PEM. Added roots never replace the system's.
    """
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_bundle is not None:
        _add(made, f"microsoft.ca_bundle {ca_bundle}", lambda: small_files.read(ca_bundle).decode("ascii", "ignore"))
    if extra_ca_pem is not None:
        _add(made, "the emulator's root certificate", lambda: extra_ca_pem)
    return made


def _add(made: ssl.SSLContext, what: str, pem: Callable[[], str]) -> None:
    try:
        made.load_verify_locations(cadata=pem())
    except (OSError, ValueError) as error:  # no such file, no rights; no PEM at all (ssl.SSLError is an OSError)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnusableRoots(f"{what} cannot be used as root certificates in PEM form: {reason}") from error
