"""The socket that a service listens on, and the address at which this machine reaches it."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable

BACKLOG = 1_024
"""Connections that the system queues until they are accepted."""

_EVERY_ADDRESS_OF_BOTH = "::"
_HERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1"}  # noqa: S104 - shown in place of every address


async def listen(protocol: Callable[[], asyncio.Protocol], host: str, port: int) -> asyncio.Server:
    """Listen at `host`, a name or an address without brackets; `::` takes IPv4 too. OSError when it is unavailable."""
    loop = asyncio.get_running_loop()
    if takes_both(host):
        both = dual_stack(port)
        try:
            return await loop.create_server(protocol, sock=both, backlog=BACKLOG)
        except BaseException:
            both.close()
            raise
    return await loop.create_server(protocol, host, port, backlog=BACKLOG)


def takes_both(host: str) -> bool:
    """Whether listening at `host` means every address of IPv6 and of IPv4 together."""
    return host == _EVERY_ADDRESS_OF_BOTH and socket.has_dualstack_ipv6()


def dual_stack(port: int) -> socket.socket:
    """A socket for every address of IPv6 and of IPv4, which asyncio does not open: it separates the two."""
    return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without brackets, is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reached_at(host: str) -> str:
    """What to put between `http://` and the port to reach `host` from this machine.

    The zone of an address, as in `fe80::1%eth0`, is written `%25eth0`. https://www.rfc-editor.org/rfc/rfc6874
    """
    here = _HERE.get(host, host)
    if here == _EVERY_ADDRESS_OF_BOTH:
        here = "127.0.0.1" if takes_both(host) else "::1"
    return f"[{here.replace('%', '%25')}]" if ":" in here else here
