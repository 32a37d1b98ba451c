"""GET /v1/accounts: the configured accounts, and all that the signed-in user can reach at Microsoft."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from sidecar.api.http.reply import Json, json_reply
from sidecar.core.accounts_yaml import accounts_yaml, configured_as
from sidecar.core.ad_accounts import (
    AccountsUnread,
    AdAccount,
    ConfiguredAccount,
    Reach,
    VisibleAccounts,
    look_up,
    remedy,
)
from sidecar.core.instant import text_of_millis
from sidecar.delivery.gates import Gates
from sidecar.ports.ad_accounts import AdAccounts
from sidecar.troubles import CATALOGUE


@dataclass(frozen=True, slots=True)
class AdAccountCalls:
    """Compares the configuration with what Microsoft shows; `configured` are the accounts of now."""

    directory: AdAccounts
    configured: Callable[[], Sequence[ConfiguredAccount]]
    gates: Gates

    async def get(self, _: web.Request) -> web.Response:
        """Both lists, and the YAML to paste. What cannot be read is empty, with the reason and the remedy."""
        found, configured = await self.directory.visible(), self.configured()
        if isinstance(found, AccountsUnread):
            return json_reply(
                {
                    "configured": [self._configured(one, None) for one in configured],
                    "visible": [],
                    "yaml": "",
                    "user": None,
                    "read_at": None,
                    "trouble": _trouble(found),
                }
            )
        names = configured_as(configured, found)
        return json_reply(
            {
                "configured": [self._configured(one, found) for one in configured],
                "visible": [_visible(account, names.get(account.account_id), found) for account in found.accounts],
                "yaml": accounts_yaml(configured, found),
                "user": found.user,
                "read_at": text_of_millis(found.read_at),
                "trouble": None,
            }
        )

    def _configured(self, one: ConfiguredAccount, visible: VisibleAccounts | None) -> Json:
        """An account of the configuration; whether it is visible is null where that is not known."""
        found = None if visible is None else look_up(one.customer_id, one.account_id, visible)
        reach = found.reach if found else None if one.account_id else Reach.NO_IDS
        return {
            "name": one.name,
            "customer_id": one.customer_id,
            "account_id": one.account_id,
            "state": self._state(one),
            "paused": self.gates.paused_since(one.name) is not None,
            "visible": found.reach is Reach.VISIBLE if found and found.reach is not Reach.NOT_READ else None,
            "reach": None if reach is Reach.NOT_READ else reach,
            "fix": remedy(one, found, visible.user) if found and visible else None,
        }

    def _state(self, one: ConfiguredAccount) -> str:
        """What holds the account's rows, or open; an operator's pause is named as POST …/pause does."""
        if self.gates.paused_since(one.name) is not None:
            return "paused"
        return self.gates.held(one.name, None) or "open"


def _visible(account: AdAccount, name: str | None, visible: VisibleAccounts) -> Json:
    role = visible.role_for(account)
    return {
        "name": account.name,
        "number": account.number,
        "customer_id": account.customer_id,
        "account_id": account.account_id,
        "currency": account.currency,
        "status": account.status,
        "role": role and role.name,
        "configured_as": name,
    }


def _trouble(unread: AccountsUnread) -> Json:
    trouble = CATALOGUE.get(unread.trouble)
    return {
        "code": unread.trouble,
        "message": unread.detail,
        "fix": trouble.solution if trouble else "",
        "tracking_id": unread.tracking_id,
    }
