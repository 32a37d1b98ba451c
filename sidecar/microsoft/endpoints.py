"""The addresses of Microsoft Advertising, per environment."""

from collections.abc import Mapping
from dataclasses import dataclass

_LOGIN = "https://login.microsoftonline.com"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base addresses without trailing slash, before paths such as `/CampaignManagement/v13`."""

    campaign: str
    customer: str
    authority: str
    """An MSAL authority: the login host and the tenant."""
    scope: str
    """The permission to ask for, without `offline_access`, which MSAL adds."""


_CAMPAIGN = {
    "production": "https://campaign.api.bingads.microsoft.com",
    "sandbox": "https://campaign.api.sandbox.bingads.microsoft.com",
}
_CUSTOMER = {
    "production": "https://clientcenter.api.bingads.microsoft.com",
    "sandbox": "https://clientcenter.api.sandbox.bingads.microsoft.com",
}
"""https://learn.microsoft.com/advertising/guides/web-service-addresses"""

_SCOPE = {
    "production": "https://ads.microsoft.com/msads.manage",
    "sandbox": "https://si.ads.microsoft.com/msads.manage",
    "emulator": "https://ads.microsoft.com/msads.manage",
}
"""Production: https://learn.microsoft.com/advertising/guides/authentication-oauth-consent.
Sandbox: as Microsoft's SDKs have it since 13.0.24.2 (`bingads/authorization.py`); no page says it. Both environments
sign in at the same host: https://learn.microsoft.com/advertising/guides/sandbox
"""


def endpoints_of(environment: str, tenant: str, overrides: Mapping[str, str]) -> Endpoints:
    """The endpoints of `production`, `sandbox` or `emulator`, replaced by those in `overrides`.

    `overrides` has any of the keys `campaign`, `customer` and `authority`. The emulator has no fixed address and needs
    all three; KeyError names the first that is missing. `tenant` completes Microsoft's authority.
    """
    if environment == "emulator":
        known = dict(overrides)
    else:
        known = {
            "campaign": _CAMPAIGN[environment],
            "customer": _CUSTOMER[environment],
            "authority": f"{_LOGIN}/{tenant}",
            **overrides,
        }
    return Endpoints(known["campaign"], known["customer"], known["authority"], _SCOPE[environment])
