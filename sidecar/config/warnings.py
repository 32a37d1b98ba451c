"""Warns of probable mistakes, at the start and in `sidecar check`; none of them refuses the file.

No message repeats a value: most of these are secrets.
"""

import re
from collections.abc import Iterator
from itertools import combinations
from urllib.parse import urlsplit

from sidecar.config.problems import KeyPath, Report, dotted
from sidecar.config.sections import DEFAULT_REDIRECT, AccountSection, Config
from sidecar.core.server_url import hosts_of, is_postgres, options_of
from sidecar.system.listening import is_loopback

SANDBOX_DEVELOPER_TOKEN = "BBD37VB98"  # noqa: S105 - public: https://learn.microsoft.com/advertising/guides/sandbox

_GUID = re.compile(r"\{?[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\}?", re.IGNORECASE)
_QUOTES = ("''", '""', "``", "“”", "‘’", "„“", "«»")
_PLACEHOLDER = re.compile(
    r"<.*>|\[.*\]|\.{3}|…|x{3,}|\*{3,}|(11111111-2222-3333-4444-555555555555)|(00000000-0000-0000-0000-000000000000)"
    r"|.*\b(change.?me|placeholder|replace.?(me|this)|todo|your.[a-z].*|my.secret|the (value|token) from step.*)\b.*",
    re.IGNORECASE,
)
_DOCUMENTED_IDS = ("250253100", "180012345", "180067890")
"""The ids in the examples of docs/connect.md."""

_NO_CLIENT_ID = (
    "is no Application (client) ID, which has 8-4-4-4-12 hexadecimal digits: copy it from the application's Overview "
    "page (docs/connect.md, step 1)"
)

_NOT_CHOSEN = (
    "has no ids yet, so its conversions wait: once somebody has signed in at /connect, `sidecar accounts` lists the "
    "ids to put here"
)

NO_ID = ""

KeyWarning = tuple[KeyPath, str]


def add_warnings(config: Config, report: Report) -> None:
    """Adds a warning to `report` for everything in `config` that looks like a mistake."""
    texts = dict(_texts(config))
    for path, message in (
        *_unfilled(texts),
        *_storage(config),
        *_redirect(config, report),
        *(_credentials(config) if config.microsoft.environment != "emulator" else ()),
        *(_ids(config) if config.microsoft.environment != "emulator" else ()),
    ):
        report.warn(path, message)


def _texts(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Every text that users paste from elsewhere."""
    microsoft = config.microsoft
    yield ("storage", "encryption_key"), config.storage.encryption_key.get_secret_value()
    for index, key in enumerate(config.server.api_keys):
        yield ("server", "api_keys", index), key.get_secret_value()
    for name in ("client_secret", "developer_token", "refresh_token"):
        yield ("microsoft", name), getattr(microsoft, name).get_secret_value()
    for name in ("client_id", "ca_bundle"):
        yield ("microsoft", name), getattr(microsoft, name)


def _unfilled(texts: dict[KeyPath, str]) -> Iterator[KeyWarning]:
    for path, text in texts.items():
        if len(text) >= 2 and text[0] + text[-1] in _QUOTES:
            yield path, "the quotes around it count as part of it (`docker run --env-file` keeps them): remove them"
        elif re.fullmatch(r"\$\w+|\$\(.*\)|%\w+%|\{\{.*\}\}", text):
            yield path, "looks like a variable that was not filled in: write ${NAME}"
        elif _PLACEHOLDER.fullmatch(text):
            yield path, "looks like a placeholder: put the real value here (docs/connect.md)"


def _storage(config: Config) -> Iterator[KeyWarning]:
    """A name without a dot is one of the same container network or cluster."""
    url = config.storage.url
    is_far = [host for host in hosts_of(url) if "." in host and not host.startswith("/") and not is_loopback(host)]
    if is_postgres(url) and is_far and "sslmode" not in options_of(url):
        yield (
            ("storage", "url"),
            "does not say how the way to the server is protected, so that an attacker on it could read and change "
            "everything: add ?sslmode=verify-full&sslrootcert=/path/to/ca.pem (docs/postgresql.md)",
        )


def _redirect(config: Config, report: Report) -> Iterator[KeyWarning]:
    """With the emulator, which signs itself in, only where the file has an address of its own."""
    path: KeyPath = ("microsoft", "redirect_uri")
    address, port = config.microsoft.redirect_uri, config.server.port
    parts, is_named = urlsplit(address), path in report.lines
    leads_to = parts.port or 80
    is_meant = config.microsoft.environment != "emulator" or address != DEFAULT_REDIRECT
    is_here = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if is_meant and is_here and port not in (0, leads_to):  # with 0 the system chooses one
        message = (
            f"leads to port {leads_to}, and server.port is {port}: the sign-in comes back to nothing, unless a "
            "container or tunnel maps one to the other. Register the right address and use it here"
        )
        yield (path, message) if is_named else (("server", "port"), f"{dotted(path)} {message}")


def _credentials(config: Config) -> Iterator[KeyWarning]:
    yield from _client_id(config)
    yield from _client_secret(config)
    yield from _developer_token(config)
    if config.microsoft.refresh_token.get_secret_value().startswith("eyJ"):
        yield ("microsoft", "refresh_token"), "looks like an access token, which lasts an hour: paste the refresh token"
    yield from _endpoints(config)


def _client_id(config: Config) -> Iterator[KeyWarning]:
    microsoft, path = config.microsoft, ("microsoft", "client_id")
    is_microsoft = microsoft.environment == "production" and microsoft.endpoints.authority is None
    if microsoft.tenant == microsoft.client_id:
        yield path, "equals microsoft.tenant: the Application (client) ID is wanted, not the Directory (tenant) ID"
    elif is_microsoft and not _GUID.fullmatch(microsoft.client_id):
        yield path, _NO_CLIENT_ID


def _client_secret(config: Config) -> Iterator[KeyWarning]:
    secret = config.microsoft.client_secret.get_secret_value()
    path = ("microsoft", "client_secret")
    if _GUID.fullmatch(secret):
        yield path, "has the form of an id: the secret's Value is wanted, not its Secret ID (docs/connect.md, step 2)"
    elif secret and secret == config.microsoft.developer_token.get_secret_value():
        yield path, "is the same as microsoft.developer_token: they are two different things"
    elif re.search(r"\s", secret):
        yield path, "has a blank in it, which no client secret has: paste it again"


def _developer_token(config: Config) -> Iterator[KeyWarning]:
    token, path = config.microsoft.developer_token.get_secret_value(), ("microsoft", "developer_token")
    sandbox = token.upper() == SANDBOX_DEVELOPER_TOKEN
    if config.microsoft.environment == "production" and sandbox:
        yield path, "is the public token of the sandbox, which production refuses (error 105): docs/connect.md, step 3"
    elif config.microsoft.environment == "sandbox" and not sandbox and re.fullmatch(r"[0-9A-Z]{8,20}", token):
        yield path, f"looks like a token of production: the sandbox has one for everyone, {SANDBOX_DEVELOPER_TOKEN}"
    elif _GUID.fullmatch(token) or "~" in token:
        what = "an id" if _GUID.fullmatch(token) else "a client secret"
        yield path, f"looks like {what}, not like a developer token, a short row of letters and digits"
    elif re.search(r"\s", token) and not _PLACEHOLDER.fullmatch(token):
        yield path, "has a blank in it, which no developer token has: paste it again"


def _endpoints(config: Config) -> Iterator[KeyWarning]:
    other = "sandbox" if config.microsoft.environment == "production" else "production"
    for name, address in config.microsoft.endpoints.given().items():
        host = urlsplit(address).hostname or ""
        is_microsoft = host.endswith(".bingads.microsoft.com")
        if is_microsoft and (".sandbox." in host) != (config.microsoft.environment == "sandbox"):
            yield ("microsoft", "endpoints", name), f"is an address of {other}, and microsoft.environment is not"


def _ids(config: Config) -> Iterator[KeyWarning]:
    for name, account in config.accounts.items():
        yield from _account(name, account)
    for (one, first), (other, second) in combinations(config.accounts.items(), 2):
        if NO_ID in (first.account_id, second.account_id):
            continue
        if first.account_id == second.customer_id or first.customer_id == second.account_id:
            message = f"an id of {one} is the other kind of id here: perhaps one of the two has them swapped"
            yield ("accounts", other), message
        elif first.account_id == second.account_id:
            yield ("accounts", other, "account_id"), f"is the same ad account as {one}, though of another customer"


def _account(name: str, account: AccountSection) -> Iterator[KeyWarning]:
    if account.account_id == NO_ID:
        yield ("accounts", name), _NOT_CHOSEN
    if account.account_id and account.account_id == account.customer_id:
        yield ("accounts", name, "account_id"), "is the same as customer_id: cid= and aid= are two different numbers"
    for key in ("customer_id", "account_id"):
        if getattr(account, key) in _DOCUMENTED_IDS:
            yield ("accounts", name, key), "is the example of docs/connect.md: put your own id here"
