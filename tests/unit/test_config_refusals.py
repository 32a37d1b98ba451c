"""Every reason to refuse a configuration, with its line and its words."""

from pathlib import Path

import pytest

from sidecar.config import ConfigError, parse

EMULATOR = "microsoft: {environment: emulator}\n"
PRODUCTION = "microsoft: {environment: production, client_id: test-client, developer_token: test-token}\n"
ACCOUNTS = "accounts: {default: {customer_id: 1, account_id: 2}}\n"

HOST = "must be a host name or address, without scheme and port"
URL = "must be an address such as https://host:port/path, without user, ?query and #fragment"
HTTPS = "must be https; plain http is accepted for this machine (localhost) only"
AUTHORITY = "must be https with the tenant as its path, such as https://login.example/common"
SQLITE = "must be sqlite:///relative/file.db, sqlite:////absolute/file.db or postgresql://user@host/database"
SERVER = (
    "must have the form postgresql://user:password@host:5432/database; write special characters of the password with "
    "a percent sign (@ as %40, / as %2F, # as %23)"
)
DURATION = "must be a duration: a whole number and a unit, such as 500ms, 30s, 15m, 2h or 90d"
SIZE = "must be a size: a whole number and a unit, such as 64KiB or 2MiB"
SHORT_KEY = "must have at least 16 characters: openssl rand -base64 32 makes a good one"
GIVEN_KEY = "must be visible ASCII characters without blanks: it travels in the Authorization header"
WEAK = "must be empty or have at least 16 characters: openssl rand -base64 32 makes a good one"
CREDENTIAL = "the emulator takes no credentials: remove it, or choose production or sandbox"
MONEY = "must be a number from 0 to 999999999999 with at most 3 decimals, such as 49.90"
TENANT = "must be common, organizations, consumers, or your tenant's id or domain"
AID = "the number behind aid= in the address bar of Microsoft Advertising"
CID = "the number behind cid= in the address bar of Microsoft Advertising"
INVISIBLE = "has an invisible character in it (a byte order mark, say): write it again by hand"
WEBHOOK = "must be an https:// address; plain http is accepted for this machine (localhost) only"
NO_USER = "must be an address without user and password"
NOT_SET = "set it, or write a default"

ONE_KEY = [
    # Keys and shapes
    ("server: {prot: 80}", "server.prot: unknown key; did you mean server.port?"),
    ("server: {Port: 80}", "server.Port: unknown key; did you mean server.port?"),
    ("serve: {}", "serve: unknown key; did you mean server?"),
    ("port: 80", "port: unknown key; did you mean server.port?"),
    ("server: {quux: 1}", "server.quux: unknown key"),
    ("server: {quux: }", "server.quux: unknown key"),
    ("server: {environment: emulator}", "server.environment: unknown key; did you mean microsoft.environment?"),
    ("events: {a: {goal: A, gaol: B}}", "events.a.gaol: unknown key; did you mean events.a.goal?"),
    ("server: {api_key_file: x}", "server.api_key_file: unknown key; did you mean server.api_keys_file?"),
    ("clicks: {retention: 91d}", "clicks.retention: must be at most 90d"),
    ("clicks: {wiat: 1h}", "clicks.wiat: unknown key; did you mean clicks.wait?"),
    ("adjustments: {settle: 8d}", "adjustments.settle: must be at most 7d"),
    ("adjustments: {setle: 6h}", "adjustments.setle: unknown key; did you mean adjustments.settle?"),
    ("goals: {refresh: 59s}", "goals.refresh: must be at least 1m"),
    ("reports: {refresh: 14m}", "reports.refresh: must be at least 15m"),
    ("reports: {refrehs: 6h}", "reports.refrehs: unknown key; did you mean reports.refresh?"),
    ("alerts: {webhok: x}", "alerts.webhok: unknown key; did you mean alerts.webhook?"),
    ("alerts: {webhook: 'http://hooks.example/x'}", f"alerts.webhook: {WEBHOOK}"),
    ("alerts: {webhook: 'ftp://127.0.0.1/x'}", f"alerts.webhook: {WEBHOOK}"),
    ("alerts: {webhook: hooks.example/x}", f"alerts.webhook: {WEBHOOK}"),
    ("alerts: {webhook: 'https://hooks.example:port/'}", f"alerts.webhook: {WEBHOOK}"),
    ("alerts: {webhook: 'https://hooks.example/a b'}", f"alerts.webhook: {WEBHOOK}"),
    ("alerts: {webhook: 'https://'}", f"alerts.webhook: {WEBHOOK}"),
    ("alerts: {webhook: 'https://me:secret@hooks.example/'}", f"alerts.webhook: {NO_USER}"),
    ("alerts: {format: teams}", "alerts.format: must be json or slack"),
    ("alerts: {repeat: 59s}", "alerts.repeat: must be at least 1m"),
    ("alerts: {repeat: 31d}", "alerts.repeat: must be at most 30d"),
    ("delivery: {goal_settle: 8d}", "delivery.goal_settle: must be at most 7d"),
    ("delivery: {click_settle: 8d}", "delivery.click_settle: must be at most 7d"),
    ("server: 5", "server: must be a section with keys of its own"),
    ("events: [lead]", "events: must be a section of names, each with keys of its own"),
    ("accounts: {shop: 5}", "accounts.shop: must be a section with keys of its own"),
    ("accounts: [shop]", "accounts: must be a section of names, each with keys of its own"),
    ("events: {lead: Lead}", "events.lead: must be a section with keys of its own"),
    ("server: {port: [1]}", "server.port: must be a single value"),
    ("server: {host: {a: b}}", "server.host: must be a single value"),
    ("server: {allowed_hosts: localhost}", "server.allowed_hosts: must be a list, such as [one, two]"),
    ("delivery: {linger: [1s]}", "delivery.linger: must be a single value"),
    ("storage: {encryption_key: [x]}", "storage.encryption_key: must be a single value"),
    ("events: {a: {goal: A, enhanced: [true]}}", "events.a.enhanced: must be a single value"),
    # server
    ("server: {host: 'a b'}", f"server.host: {HOST}"),
    ("server: {host: ''}", f"server.host: {HOST}"),
    ("server: {port: 65536}", "server.port: must be a whole number from 0 to 65535"),
    ("server: {port: -1}", "server.port: must be a whole number from 0 to 65535"),
    ("server: {port: 080}", "server.port: must be a whole number from 0 to 65535"),
    ("server: {port: 8_077}", "server.port: must be a whole number from 0 to 65535"),
    ("server: {port: 80.0}", "server.port: must be a whole number from 0 to 65535"),
    ("server: {port: '${X:-}'}", "server.port: must be a whole number from 0 to 65535"),
    ("server: {api_keys: [test-key-0123456, test-key-012345]}", f"server.api_keys[1]: {SHORT_KEY}"),
    ("server: {api_keys: [test-key-of-ours, '']}", f"server.api_keys[1]: {GIVEN_KEY}"),
    ("server: {api_keys: [test a]}", f"server.api_keys[0]: {GIVEN_KEY}"),
    ("server: {api_keys: test-a}", "server.api_keys: must be a list, such as [one, two]"),
    ("server: {allowed_hosts: ['localhost:80']}", f"server.allowed_hosts[0]: {HOST}"),
    ("server: {allowed_hosts: [a, 'http://a']}", f"server.allowed_hosts[1]: {HOST}"),
    ("server: {allowed_hosts: [~]}", "server.allowed_hosts[0]: must be a single value"),
    ("server: {allowed_hosts: ['[::1]:80']}", f"server.allowed_hosts[0]: {HOST}"),
    (
        "server: {max_body: 2MB}",
        "server.max_body: must be a size in MiB (1MiB = 1048576 bytes): KB and MB mean two things",
    ),
    ("server: {max_body: 2}", f"server.max_body: {SIZE}"),
    ("server: {max_body: 1B}", "server.max_body: must be at least 1KiB"),
    # storage
    ("storage: {url: 'sqlite://outbox.db'}", f"storage.url: {SQLITE}"),
    ("storage: {url: 'sqlite:///'}", f"storage.url: {SQLITE}"),
    ("storage: {url: 'sqlite:///data/'}", f"storage.url: {SQLITE}"),
    ("storage: {url: 'sqlite:///:memory:'}", f"storage.url: {SQLITE}"),
    ("storage: {url: outbox.db}", f"storage.url: {SQLITE}"),
    ("storage: {url: 'postgresql:db/x'}", f"storage.url: {SQLITE}"),
    ("storage: {url: 'mysql://db/x'}", f"storage.url: {SQLITE}"),
    ("storage: {url: 'postgresql://me:test/secret@db/x'}", f"storage.url: {SERVER}"),
    ("storage: {url: 'postgresql://me:test@secret@db/x'}", f"storage.url: {SERVER}"),
    ("storage: {url: 'postgresql://me:test#secret@db/x'}", f"storage.url: {SERVER}"),
    ("storage: {url: 'postgresql://me:test?secret@db/x'}", f"storage.url: {SERVER}"),
    ("storage: {url: 'postgresql://me:test secret@db/x'}", f"storage.url: {SERVER}"),
    ("storage: {encryption_key: fifteen-letters}", f"storage.encryption_key: {WEAK}"),
    ("storage: {retention: 89d}", "storage.retention: must be at least 90d"),
    ("storage: {retention: 90}", f"storage.retention: {DURATION}"),
    ("storage: {max_pending: 0}", "storage.max_pending: must be a whole number from 1 to 1000000000"),
    ("storage: {retention: 3651d}", "storage.retention: must be at most 3650d"),
    ("storage: {min_free_disk: -1MiB}", f"storage.min_free_disk: {SIZE}"),
    ("storage: {min_free_disk: 2TiB}", "storage.min_free_disk: must be at most 1TiB"),
    ("clicks: {retention: 86400500ms}", "clicks.retention: must be a multiple of 1s: it is stored no finer"),
    ("logging: {retention: 87601h}", "logging.retention: must be at most 3650d"),
    ("server: {max_body: 65MiB}", "server.max_body: must be at most 64MiB"),
    # events
    ("events: {}", "events: name at least one, or leave the key out"),
    ("accounts: {}", "accounts: name at least one, or leave the key out"),
    ("events: {a: {}}", "events.a.goal: is required: the exact name of the conversion goal in Microsoft Advertising"),
    ("events: {a: }", "events.a.goal: is required: the exact name of the conversion goal in Microsoft Advertising"),
    ("events: {a: {goal: ''}}", "events.a.goal: must be a text of 1 to 100 characters"),
    (f"events: {{a: {{goal: {'x' * 101}}}}}", "events.a.goal: must be a text of 1 to 100 characters"),
    ("events: {a: {goal: ' A'}}", "events.a.goal: must not begin or end with a blank"),
    ('events: {a: {goal: "A\\nB"}}', "events.a.goal: must be one line without control characters"),
    ("events: {'': {goal: A}}", "events.'': a name has 1 to 100 characters on one line, and no blanks around it"),
    ("events: {a: {goal: A, account: shop}}", "events.a.account: is not one of accounts: default"),
    (
        "accounts: {us: {goals: {purchse: P}}}",
        "accounts.us.goals.purchse: is not one of events: purchase, lead, signup; did you mean purchase?",
    ),
    ("accounts: {us: {goals: {lead: ' '}}}", "accounts.us.goals.lead: must be a text of 1 to 100 characters"),
    ("accounts: {us: {goals: Lead}}", "accounts.us.goals: must be a section of names, each with keys of its own"),
    ("events: {a: {goal: A, value: 5}}", "events.a.value: needs a currency beside it"),
    ("events: {a: {goal: A, revenue: FixedValue}}", "events.a.revenue: FixedValue needs a value beside it"),
    ("events: {a: {goal: A, value: -5, currency: EUR}}", f"events.a.value: {MONEY}"),
    ("events: {a: {goal: A, value: 1.2345, currency: EUR}}", f"events.a.value: {MONEY}"),
    ("events: {a: {goal: A, value: 999999999999.5, currency: EUR}}", f"events.a.value: {MONEY}"),
    ("events: {a: {goal: A, value: 1e3, currency: EUR}}", f"events.a.value: {MONEY}"),
    ("events: {a: {goal: A, currency: EURO}}", "events.a.currency: must be an ISO 4217 code, such as USD"),
    ("events: {a: {goal: A, currency: ''}}", "events.a.currency: must be an ISO 4217 code, such as USD"),
    ("events: {a: {goal: A, count_type: all}}", "events.a.count_type: must be All or Unique"),
    ("events: {a: {goal: A, revenue: x}}", "events.a.revenue: must be NoValue, FixedValue or VariableValue"),
    ("events: {a: {goal: A, window: 91d}}", "events.a.window: must be at most 90d"),
    ("events: {a: {goal: A, window: 90s}}", "events.a.window: must be a multiple of 1m: it is stored no finer"),
    ("events: {a: {goal: A, window: 60001ms}}", "events.a.window: must be a multiple of 1m: it is stored no finer"),
    # delivery and the rest
    ("delivery: {batch_size: 0}", "delivery.batch_size: must be a whole number from 1 to 1000"),
    ("delivery: {batch_size: 1001}", "delivery.batch_size: must be a whole number from 1 to 1000"),
    ("delivery: {requests_per_minute: 1001}", "delivery.requests_per_minute: must be a whole number from 1 to 1000"),
    ("delivery: {max_in_flight: 65}", "delivery.max_in_flight: must be a whole number from 1 to 64"),
    ("delivery: {linger: 61s}", "delivery.linger: must be at most 60s"),
    ("delivery: {linger: 2 s}", f"delivery.linger: {DURATION}"),
    ("delivery: {linger: 1.5s}", f"delivery.linger: {DURATION}"),
    ("delivery: {request_timeout: 0s}", "delivery.request_timeout: must be at least 100ms"),
    (
        "matching: {default_country: ZZ}",
        "matching.default_country: must be an ISO 3166 code of two letters, such as US or NO",
    ),
    (
        "matching: {default_country: false}",
        "matching.default_country: must be an ISO 3166 code of two letters, such as US or NO",
    ),
    ("privacy: {consent: yes}", "privacy.consent: must be granted or denied"),
    ("logging: {level: warn}", "logging.level: must be debug, info, warning or error"),
    ("logging: {format: text}", "logging.format: must be json or console"),
    (
        "logging: {max_size: 256MB}",
        "logging.max_size: must be a size in MiB (1MiB = 1048576 bytes): KB and MB mean two things",
    ),
    # ${NAME}
    ("server: {host: '${A}'}", f"server.host: environment variable is not set: A; {NOT_SET}: ${{A:-…}}"),
    ("server: {host: '${A}${B}'}", f"server.host: environment variables are not set: A and B; {NOT_SET}: ${{A:-…}}"),
    (
        "server: {host: '${A-b}'}",
        "server.host: has a `${` without a name and a closing brace: write ${NAME} or ${NAME:-default}",
    ),
    (
        "server: {host: '${'}",
        "server.host: has a `${` without a name and a closing brace: write ${NAME} or ${NAME:-default}",
    ),
]


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, {})
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("text", "message"), ONE_KEY)
def test_key_is_refused_with_its_line_and_reason(text: str, message: str):
    assert refused(EMULATOR + text) == [f"config.yaml:2: {message}"]


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("tenant: ''", f"microsoft.tenant: {TENANT}"),
        ("tenant: 'a/b'", f"microsoft.tenant: {TENANT}"),
        ("redirect_uri: http://shop.example/oauth/callback", f"microsoft.redirect_uri: {HTTPS}"),
        ("redirect_uri: shop.example", f"microsoft.redirect_uri: {URL}"),
        ("redirect_uri: 'https://shop.example/#x'", f"microsoft.redirect_uri: {URL}"),
        ("endpoints: {campaign: 'http://shop.example'}", f"microsoft.endpoints.campaign: {HTTPS}"),
        ("endpoints: {campaign: 'http://localhost.example'}", f"microsoft.endpoints.campaign: {HTTPS}"),
        ("endpoints: {customer: 'ftp://localhost'}", f"microsoft.endpoints.customer: {URL}"),
        ("endpoints: {customer: 'https://a:b@localhost'}", f"microsoft.endpoints.customer: {URL}"),
        ("endpoints: {customer: 'https://localhost:port'}", f"microsoft.endpoints.customer: {URL}"),
        ("endpoints: {customer: 'https://[::1'}", f"microsoft.endpoints.customer: {URL}"),
        ("endpoints: {authority: 'http://localhost/common'}", f"microsoft.endpoints.authority: {AUTHORITY}"),
        ("endpoints: {authority: 'https://login.example/'}", f"microsoft.endpoints.authority: {AUTHORITY}"),
        ("ca_bundle: /does/not/exist", "microsoft.ca_bundle: the file cannot be read: No such file or directory"),
        ("client_id: test-x", f"microsoft.client_id: {CREDENTIAL}"),
        ("client_secret: test-x", f"microsoft.client_secret: {CREDENTIAL}"),
        ("developer_token: test-x", f"microsoft.developer_token: {CREDENTIAL}"),
        ("refresh_token: test-x", f"microsoft.refresh_token: {CREDENTIAL}"),
        ('client_secret: "test-\\nx"', "microsoft.client_secret: must be one line without control characters"),
        (
            'client_secret: "test-x\\r"',
            "microsoft.client_secret: ends with a carriage return: it comes from a file with Windows line ends",
        ),
        (
            'client_secret: "\\uFEFFtest-x"',
            f"microsoft.client_secret: {INVISIBLE}",
        ),
        (
            'developer_token: "test-\\u200Bx"',
            f"microsoft.developer_token: {INVISIBLE}",
        ),
        (
            "client_secret_file: /none",
            "microsoft.client_secret_file: the file cannot be read: No such file or directory",
        ),
        ("client_secret_file: [x]", "microsoft.client_secret_file: must be the path of a file"),
        (
            "client_secret: test-x, client_secret_file: /none",
            "microsoft.client_secret_file: contradicts microsoft.client_secret: give one of the two",
        ),
    ],
)
def test_microsofts_key_is_refused_with_its_line_and_reason(inside: str, message: str):
    assert refused(f"microsoft: {{environment: emulator, {inside}}}") == [f"config.yaml:1: {message}"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("account_id: 2", [f"customer_id: is required: {CID}"]),
        ("customer_id: 1, account_id: ''", [f"account_id: is required: {AID}"]),
        (
            "customer_id: 1, account_id: F123ABCD",
            [f"account_id: that looks like the account number; use the id: {AID}"],
        ),
        ("customer_id: 1, account_id: 1 2", [f"account_id: must be digits only: {AID}"]),
        (
            "customer_id: 1_0, account_id: 1.5",
            [f"account_id: must be digits only: {AID}", f"customer_id: must be digits only: {CID}"],
        ),
    ],
)
@pytest.mark.parametrize("environment", ["production", "sandbox"])
def test_real_environments_need_ids_in_digits(environment: str, ids: str, message: list[str]):
    text = PRODUCTION.replace("production", environment) + f"accounts: {{shop: {{{ids}}}}}"
    assert refused(text) == [f"config.yaml:2: accounts.shop.{line}" for line in message]


CATEGORIES = [
    *["AddToCart", "BeginCheckout", "BookAppointment", "Contact", "GetDirections", "Other", "OutboundClick"],
    *["PageView", "Purchase", "RequestQuote", "Signup", "SubmitLeadForm", "Subscribe"],
]
"""Those of Microsoft's page: https://learn.microsoft.com/advertising/campaign-management-service/conversiongoalcategory"""


@pytest.mark.parametrize("category", ["Shop", "purchase", "Sign up", "SubmitLead", "?"])
def test_unknown_category_is_refused_with_the_known_ones(category: str):
    [line] = refused(f"{EMULATOR}events: {{lead: {{goal: Lead, category: '{category}'}}}}")
    assert line == f"config.yaml:2: events.lead.category: must be {', '.join(CATEGORIES[:-1])} or {CATEGORIES[-1]}"


@pytest.mark.parametrize("category", CATEGORIES)
def test_known_category_is_taken(category: str):
    config = parse(f"{EMULATOR}events: {{lead: {{goal: Lead, category: {category}}}}}", {})
    assert config.events["lead"].category == category


SAME = "have the same ids: one account at Microsoft has one name here; keep one of them"


@pytest.mark.parametrize(
    ("accounts", "message"),
    [
        ("a: {customer_id: 1, account_id: 2}, b: {customer_id: 1, account_id: 2}", ["accounts.b: a and b"]),
        ("a: {customer_id: 1, account_id: 2}, b: {customer_id: '01', account_id: '002'}", ["accounts.b: a and b"]),
        (
            "a: {customer_id: 1, account_id: 2}, x: {customer_id: 1, account_id: 3}, "
            "b: {account_id: 2, customer_id: 1}, c: {customer_id: 1, account_id: 2}",
            ["accounts.b: a and b", "accounts.c: a and c"],
        ),
    ],
)
@pytest.mark.parametrize("environment", ["production", "sandbox", "emulator"])
def test_two_accounts_with_equal_ids_are_refused(environment: str, accounts: str, message: list[str]):
    """They would share no seconds and no memory of what was sent: one order would count twice."""
    text = PRODUCTION if environment != "emulator" else "microsoft: {environment: emulator}\n"
    text = text.replace("production", environment) + f"accounts: {{{accounts}}}"
    assert refused(text) == [f"config.yaml:2: {one} {SAME}" for one in message]


@pytest.mark.parametrize("other", ["{customer_id: 1, account_id: 3}", "{customer_id: 2, account_id: 1}"])
@pytest.mark.parametrize("text", [PRODUCTION, EMULATOR])
def test_accounts_that_share_one_id_are_two_accounts(text: str, other: str):
    config = parse(f"{text}accounts: {{a: {{customer_id: 1, account_id: 2}}, b: {other}}}", {})
    assert list(config.accounts) == ["a", "b"]


@pytest.mark.parametrize(
    "accounts", ["a: {account_id: 2}, b: {account_id: 2}", "a: {customer_id: 1, account_id: 2}, b: {account_id: 2}"]
)
def test_accounts_of_the_emulator_may_not_share_an_id_either(accounts: str):
    assert refused(f"microsoft: {{environment: emulator}}\naccounts: {{{accounts}}}") == [
        f"config.yaml:2: accounts.b: a and b {SAME}"
    ]


@pytest.mark.parametrize("environment", ["production", "sandbox"])
def test_real_environments_need_client_id_and_developer_token(environment: str):
    need = f"is required in {environment}: docs/connect.md shows where to get it"
    assert refused(f"microsoft: {{environment: {environment}}}\n{ACCOUNTS}") == [
        f"config.yaml:1: microsoft.client_id: {need}",
        f"config.yaml:1: microsoft.developer_token: {need}",
    ]


@pytest.mark.parametrize("text", ["", "---\n", "# nothing\n", "server: {}"])
def test_environment_has_no_default(text: str):
    assert refused(text) == [
        "config.yaml: microsoft.environment: is required: production, sandbox or emulator (a local stand-in that needs "
        "no account)"
    ]


def test_missing_environment_is_reported_at_its_section():
    assert refused("server: {}\nmicrosoft:\n  tenant: common\n")[0].startswith("config.yaml:2: microsoft.environment: ")


def test_other_environment_is_refused():
    assert refused("microsoft: {environment: prod}") == [
        "config.yaml:1: microsoft.environment: must be production, sandbox or emulator"
    ]


def test_emulator_elsewhere_is_named_with_all_its_addresses():
    addresses = "{campaign: https://127.0.0.1:1, customer: https://127.0.0.1:1}"
    text = f"microsoft:\n  environment: emulator\n  endpoints: {addresses}\n"
    assert refused(text) == [
        "config.yaml:3: microsoft.endpoints.authority: is required beside the others: "
        "`sidecar emulator` prints all three"
    ]


def test_bundle_without_certificates_is_refused(tmp_path: Path):
    (tmp_path / "ca.pem").write_text("no certificate")
    assert refused(f"microsoft: {{environment: emulator, ca_bundle: {tmp_path}/ca.pem}}") == [
        "config.yaml:1: microsoft.ca_bundle: the file holds no certificates in PEM form"
    ]


def test_short_key_in_a_file_is_refused(tmp_path: Path):
    (tmp_path / "keys").write_text("test-key-of-ours\ntest-short\n")
    assert [line.split(": ", 1)[1] for line in refused(f"{EMULATOR}server: {{api_keys_file: {tmp_path}/keys}}")] == [
        f"server.api_keys[1]: {SHORT_KEY}"
    ]


@pytest.mark.parametrize(
    ("content", "message"), [(b"\n", "the file is empty"), (b"\xff", "the file is not UTF-8 text")]
)
def test_secret_file_without_a_secret_is_refused(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "keys").write_bytes(content)
    assert refused(f"{EMULATOR}server: {{api_keys_file: {tmp_path}/keys}}") == [
        f"config.yaml:2: server.api_keys_file: {message}"
    ]
