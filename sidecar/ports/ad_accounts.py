"""What API and doctor ask of the ad platform: which ad accounts the signed-in user can reach."""

from typing import Protocol

from sidecar.core.ad_accounts import AccountsUnread, VisibleAccounts


class AdAccounts(Protocol):
    """The accounts of the signed-in user."""

    async def visible(self, *, fresh: bool = False) -> VisibleAccounts | AccountsUnread:
        """Return every ad account that the user can reach, or why it is not known.

        It was read at most some minutes ago, or some seconds where it must be `fresh`.
        """
