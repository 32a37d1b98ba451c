"""An access token with the times of its refresh."""

from dataclasses import dataclass

from sidecar.core.instant import UnixMillis
from sidecar.microsoft.oauth import Grant
from sidecar.ports.tokens import AccessToken

WEEK_SECONDS = 7 * 86_400.0
"""The refresh interval of an idle service: an unused refresh token expires after 90 days.

https://learn.microsoft.com/entra/identity-platform/refresh-tokens
"""

_MARGIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CachedToken:
    """A token with its times on the event loop's clock, in seconds."""

    token: AccessToken
    good_until: float
    refresh_at: float
    """When to refresh while it is in use."""
    idle_refresh_at: float
    """When to refresh while it is unused."""


def cached(grant: Grant, asked_at: float, now: UnixMillis, chance: float) -> CachedToken:
    """The token of a grant that was requested at `asked_at` (loop clock), refreshed after 70 to 80 % of its life.

    The point is random, so that the sidecars of a company do not all ask at once after an outage.
    """
    life = grant.life_seconds
    return CachedToken(
        AccessToken(grant.access_token, UnixMillis(now + int(life * 1000))),
        good_until=asked_at + life - min(_MARGIN_SECONDS, life / 10),
        refresh_at=asked_at + life * (0.7 + 0.1 * chance),
        idle_refresh_at=asked_at + WEEK_SECONDS,
    )
