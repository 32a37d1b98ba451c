"""What API and doctor ask of the ad platform: which ad accounts the signed-in user can reach."""

from typing import Protocol

from sidecar.core.ad_accounts import AccountsUnread, VisibleAccounts


class AdAccounts(Protocol):
    """The accounts of the signed-in user."""

    async def visible(self) -> VisibleAccounts | AccountsUnread:
        """Return every ad account that the user can reach, read at most some minutes ago; or why it is not known."""
