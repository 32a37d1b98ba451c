"""What must hold between keys, where each of them alone is well formed."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sidecar.config.addresses import is_loopback
from sidecar.config.report import KeyPath, Report
from sidecar.config.sections import AccountSection, Config
from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.problem import listed
from sidecar.system import small_files

CALLBACK_PATH = "/oauth/callback"

_ENVIRONMENT: KeyPath = ("microsoft", "environment")

_SAME_IDS = "have the same ids: one account at Microsoft has one name here; keep one of them"


@dataclass(frozen=True, slots=True)
class Clash:
    """The key at `path` does not fit; the finding rests on what the keys in `because` say."""

    path: KeyPath
    message: str
    because: tuple[KeyPath, ...] = ()


def check(config: Config, report: Report) -> None:
    """Adds to `report` whatever does not fit together in `config`."""
    for rule in _RULES:
        for clash in rule(config):
            report.add(clash.path, clash.message, because=clash.because)


def _names(config: Config) -> Iterator[Clash]:
    for section, names in (("accounts", config.accounts), ("events", config.events)):
        if not names:
            yield Clash((section,), "name at least one, or leave the key out")
        for name in names:
            if not 0 < len(name) <= 100 or not name.isprintable() or name != name.strip():
                yield Clash((section, name), "a name has 1 to 100 characters on one line, and no blanks around it")


def _credentials(config: Config) -> Iterator[Clash]:
    microsoft = config.microsoft
    given = {
        "client_id": bool(microsoft.client_id),
        "client_secret": bool(microsoft.client_secret),
        "developer_token": bool(microsoft.developer_token),
        "refresh_token": bool(microsoft.refresh_token),
    }
    if microsoft.environment == "emulator":
        message = "the emulator takes no credentials: remove it, or choose production or sandbox"
        wrong = [key for key in given if given[key]]
    else:
        message = f"is required in {microsoft.environment}: docs/connect.md shows where to get it"
        wrong = [key for key in ("client_id", "developer_token") if not given[key]]
    for key in wrong:
        yield Clash(("microsoft", key), message, (_ENVIRONMENT, ("microsoft", f"{key}_file")))


def _redirect(config: Config) -> Iterator[Clash]:
    """A browser that comes back to this machine reaches the sidecar itself, which answers at one path only."""
    parts = urlsplit(config.microsoft.redirect_uri)
    if is_loopback(parts.hostname or "") and parts.path != CALLBACK_PATH:
        yield Clash(("microsoft", "redirect_uri"), f"must end in {CALLBACK_PATH} where it leads to this machine")


def _endpoints(config: Config) -> Iterator[Clash]:
    """An emulator elsewhere is named with all its addresses: no other one may stand in for a missing address."""
    given = config.microsoft.endpoints.given()
    if config.microsoft.environment == "emulator" and given:
        for key in ("campaign", "customer", "authority"):
            if key not in given:
                message = "is required beside the others: `sidecar emulator` prints all three"
                yield Clash(("microsoft", "endpoints", key), message, (_ENVIRONMENT,))


def _accounts(config: Config) -> Iterator[Clash]:
    if config.microsoft.environment == "emulator":
        return
    for name, account in config.accounts.items():
        for key, message in _bad_ids(account):
            yield Clash(("accounts", name, key), message, (_ENVIRONMENT,))


def _bad_ids(account: AccountSection) -> Iterator[tuple[str, str]]:
    """The ids that Microsoft could not know, each with what to do."""
    ids = (("customer_id", account.customer_id, "cid"), ("account_id", account.account_id, "aid"))
    for key, id_, parameter in ids:
        where = f"the number behind {parameter}= in the address bar of Microsoft Advertising"
        if not id_:
            yield key, f"is required: {where}"
        elif any(letter.isalpha() for letter in id_):
            yield key, f"that looks like the account number; use the id: {where}"
        elif not (id_.isascii() and id_.isdigit()):
            yield key, f"must be digits only: {where}"


def _accounts_apart(config: Config) -> Iterator[Clash]:
    """Two names of one account at Microsoft would know nothing of each other's conversions."""
    seen: list[tuple[str, AccountSection]] = []
    for name, account in config.accounts.items():
        former = next((known for known, one in seen if _is_same_account(one, account)), None)
        seen.append((name, account))
        if former is not None:
            message = f"{former} and {name} {_SAME_IDS}"
            ids = [("accounts", each, key) for each in (former, name) for key in ("customer_id", "account_id")]
            yield Clash(("accounts", name), message, tuple(ids))


def _is_same_account(one: AccountSection, other: AccountSection) -> bool:
    """An id that the emulator's accounts leave open is the same for both."""
    customers = {_number(account.customer_id) for account in (one, other)} - {""}
    return bool(one.account_id) and _number(one.account_id) == _number(other.account_id) and len(customers) < 2


def _number(id_: str) -> str:
    """Microsoft's ids are numbers: zeros before them change nothing."""
    return id_.lstrip("0") or id_[:1]


def _goals_of_accounts(config: Config) -> Iterator[Clash]:
    for name, account in config.accounts.items():
        for event in account.goals.keys() - config.events.keys():
            near = did_you_mean(event, config.events)
            meant = f"; did you mean {near}?" if near else ""
            message = f"is not one of events: {listed(config.events)}{meant}"
            yield Clash(("accounts", name, "goals", event), message, (("events",),))


def _events(config: Config) -> Iterator[Clash]:
    known = ", ".join(config.accounts)
    for name, event in config.events.items():
        account: KeyPath = ("events", name, "account")
        if event.account is not None and event.account not in config.accounts:
            yield Clash(account, f"is not one of accounts: {known}", (("accounts",),))
        if event.value is not None and event.currency is None:
            yield Clash(("events", name, "value"), "needs a currency beside it", (("events", name, "currency"),))
        if event.revenue == "FixedValue" and event.value is None:
            yield Clash(("events", name, "revenue"), "FixedValue needs a value beside it", (("events", name, "value"),))


def _ca_bundle(config: Config) -> Iterator[Clash]:
    if not config.microsoft.ca_bundle:
        return
    path = ("microsoft", "ca_bundle")
    try:
        pem = small_files.read(Path(config.microsoft.ca_bundle)).decode("ascii", "ignore")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        yield Clash(path, "the file holds no certificates in PEM form")
    except OSError as error:
        yield Clash(path, f"the file cannot be read: {error.strerror}")


_RULES = (
    _names,
    _credentials,
    _redirect,
    _endpoints,
    _accounts,
    _accounts_apart,
    _goals_of_accounts,
    _events,
    _ca_bundle,
)
