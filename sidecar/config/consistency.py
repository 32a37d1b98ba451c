"""Rules between keys, each of which is valid by itself."""

import ssl
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sidecar.config.problems import KeyPath, Report
from sidecar.config.sections import AccountSection, Config
from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.intake.problem import listed
from sidecar.system import small_files
from sidecar.system.listening import is_loopback

CALLBACK_PATH = "/oauth/callback"

_ENVIRONMENT: KeyPath = ("microsoft", "environment")

_SAME_IDS = "have the same ids: one account at Microsoft has one name here; keep one of them"
_BAD_NAME = "a name has 1 to 100 characters on one line, and no blanks around it"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """The key at `path` contradicts another; not reported where one in `because` is wrong itself."""

    path: KeyPath
    message: str
    because: tuple[KeyPath, ...] = ()


def check_consistency(config: Config, report: Report) -> None:
    """Adds to `report` a problem for every contradiction in `config`."""
    for rule in _RULES:
        for found in rule(config):
            report.add(found.path, found.message, because=found.because)


def _names(config: Config) -> Iterator[Contradiction]:
    for section, names in (("accounts", config.accounts), ("events", config.events)):
        if not names:
            yield Contradiction((section,), "name at least one, or leave the key out")
        for name in names:
            if not 0 < len(name) <= 100 or not name.isprintable() or name != name.strip():
                yield Contradiction((section, name), _BAD_NAME)


def _credentials(config: Config) -> Iterator[Contradiction]:
    microsoft = config.microsoft
    if microsoft.environment == "emulator":
        message = "the emulator takes no credentials: remove it, or choose production or sandbox"
        keys = ("client_id", "client_secret", "developer_token", "refresh_token")
        wrong = [key for key in keys if getattr(microsoft, key)]
    else:
        message = f"is required in {microsoft.environment}: docs/connect.md shows where to get it"
        wrong = [key for key in ("client_id", "developer_token") if not getattr(microsoft, key)]
    for key in wrong:
        yield Contradiction(("microsoft", key), message, (_ENVIRONMENT, ("microsoft", f"{key}_file")))


def _redirect(config: Config) -> Iterator[Contradiction]:
    """A browser that is redirected to this machine reaches the sidecar, which answers at one path only."""
    parts = urlsplit(config.microsoft.redirect_uri)
    if is_loopback(parts.hostname or "") and parts.path != CALLBACK_PATH:
        message = f"must end in {CALLBACK_PATH} where it leads to this machine"
        yield Contradiction(("microsoft", "redirect_uri"), message)


def _endpoints(config: Config) -> Iterator[Contradiction]:
    """An emulator elsewhere needs all its addresses: a default would be another service."""
    given = config.microsoft.endpoints.given()
    if config.microsoft.environment == "emulator" and given:
        for key in ("campaign", "customer", "authority"):
            if key not in given:
                message = "is required beside the others: `sidecar emulator` prints all three"
                yield Contradiction(("microsoft", "endpoints", key), message, (_ENVIRONMENT,))


def _accounts(config: Config) -> Iterator[Contradiction]:
    if config.microsoft.environment == "emulator":
        return
    for name, account in config.accounts.items():
        for key, message in _bad_ids(account):
            yield Contradiction(("accounts", name, key), message, (_ENVIRONMENT,))


def _bad_ids(account: AccountSection) -> Iterator[tuple[str, str]]:
    """The ids that Microsoft cannot know, each with what to do. An account without both waits for a choice."""
    if not account.customer_id and not account.account_id:
        return
    ids = (("customer_id", account.customer_id, "cid"), ("account_id", account.account_id, "aid"))
    for key, id_, parameter in ids:
        where = f"the number behind {parameter}= in the address bar of Microsoft Advertising"
        if not id_:
            yield key, f"is required: {where}"
        elif any(letter.isalpha() for letter in id_):
            yield key, f"that looks like the account number; use the id: {where}"
        elif not (id_.isascii() and id_.isdigit()):
            yield key, f"must be digits only: {where}"


def _distinct_accounts(config: Config) -> Iterator[Contradiction]:
    """Two names of one account at Microsoft would not see each other's conversions."""
    seen: defaultdict[str, list[tuple[str, AccountSection]]] = defaultdict(list)
    for name, account in config.accounts.items():
        alike = seen[_number(account.account_id)]
        former = next((known for known, one in alike if _is_same_account(one, account)), None)
        alike.append((name, account))
        if former is not None:
            message = f"{former} and {name} {_SAME_IDS}"
            ids = [("accounts", each, key) for each in (former, name) for key in ("customer_id", "account_id")]
            yield Contradiction(("accounts", name), message, tuple(ids))


def _is_same_account(one: AccountSection, other: AccountSection) -> bool:
    """Whether both have the same ids; one that the emulator's accounts leave empty equals any."""
    customers = {_number(account.customer_id) for account in (one, other)} - {""}
    return bool(one.account_id) and _number(one.account_id) == _number(other.account_id) and len(customers) < 2


def _number(id_: str) -> str:
    """The id without leading zeros: to Microsoft it is a number."""
    return id_.lstrip("0") or id_[:1]


def _goals_of_accounts(config: Config) -> Iterator[Contradiction]:
    for name, account in config.accounts.items():
        for event in account.goals.keys() - config.events.keys():
            near = did_you_mean(event, config.events)
            meant = f"; did you mean {near}?" if near else ""
            message = f"is not one of events: {listed(config.events)}{meant}"
            yield Contradiction(("accounts", name, "goals", event), message, (("events",),))


def _events(config: Config) -> Iterator[Contradiction]:
    known = ", ".join(config.accounts)
    for name, event in config.events.items():
        path: KeyPath = ("events", name)
        if event.account is not None and event.account not in config.accounts:
            yield Contradiction((*path, "account"), f"is not one of accounts: {known}", (("accounts",),))
        if event.value is not None and event.currency is None:
            yield Contradiction((*path, "value"), "needs a currency beside it", ((*path, "currency"),))
        if event.revenue == "FixedValue" and event.value is None:
            yield Contradiction((*path, "revenue"), "FixedValue needs a value beside it", ((*path, "value"),))


def _ca_bundle(config: Config) -> Iterator[Contradiction]:
    if not config.microsoft.ca_bundle:
        return
    path = ("microsoft", "ca_bundle")
    try:
        pem = small_files.read(Path(config.microsoft.ca_bundle)).decode("ascii", "ignore")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        yield Contradiction(path, "the file holds no certificates in PEM form")
    except OSError as error:
        yield Contradiction(path, f"the file cannot be read: {error.strerror}")


_RULES = (
    _names,
    _credentials,
    _redirect,
    _endpoints,
    _accounts,
    _distinct_accounts,
    _goals_of_accounts,
    _events,
    _ca_bundle,
)
