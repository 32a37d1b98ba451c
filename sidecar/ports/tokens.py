"""The access token as microsoft uses it and replicas store it."""

from dataclasses import dataclass, field

from sidecar.core.instant import UnixMillis


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The token for `Authorization: Bearer`."""

    value: str = field(repr=False)
    expires_at: UnixMillis
