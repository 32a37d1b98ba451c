"""Reading the configuration: what a file, the environment and secret files make of it."""

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from sidecar.config import (
    Config,
    ConfigError,
    EventSection,
    MicrosoftSection,
    changes,
    load,
    locate,
    masked,
    masked_yaml,
    parse,
)

EMULATOR = "microsoft: {environment: emulator}\n"
PRODUCTION = """
microsoft:
  environment: production
  client_id: test-client
  developer_token: test-developer-token
accounts:
  default: {customer_id: 12345, account_id: 67890}
"""


def emulated(text: str = "", **environ: str) -> Config:
    """The configuration `text`, completed by the one key that has no default."""
    return parse(EMULATOR + text, environ)


def refused(text: str, **environ: str) -> list[str]:
    """The lines in which `text` is refused."""
    with pytest.raises(ConfigError) as caught:
        parse(text, environ)
    return str(caught.value).splitlines()


# --- Values ----------------------------------------------------------------------------------------------------------


def test_environment_is_the_only_key_that_must_be_given():
    assert emulated() == Config(microsoft=MicrosoftSection(environment="emulator"))


def test_key_left_empty_has_its_default():
    config = parse("server:\nstorage:\n  url:\n  retention: ~\nmicrosoft: {environment: emulator}\nevents: null\n", {})
    assert config == emulated()


def test_country_codes_survive_yamls_no():
    assert emulated("matching: {default_country: NO}").matching.default_country == "NO"


@pytest.mark.parametrize(
    ("written", "meant"), [("UK", "GB"), ("usa", "US"), ("' de '", "DE"), ("EL", "GR"), ("XK", "XK")]
)
def test_country_is_understood_as_it_is_in_a_request(written: str, meant: str):
    assert emulated(f"matching: {{default_country: {written}}}").matching.default_country == meant


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "True", "TRUE", "y", "1"])
def test_only_true_and_false_are_booleans(word: str):
    assert refused(EMULATOR + f"events: {{lead: {{goal: Lead, enhanced: {word}}}}}") == [
        "config.yaml:2: events.lead.enhanced: must be true or false"
    ]


@pytest.mark.parametrize(("word", "truth"), [("true", True), ("false", False)])
def test_true_and_false_are_booleans(word: str, truth: bool):
    assert emulated(f"events: {{lead: {{goal: Lead, enhanced: {word}}}}}").events["lead"].enhanced is truth


@pytest.mark.parametrize(
    "written", ["123", "0123", "0o17", "0x1F", "1_000", "12:30:45", "1e3", "1.50", "2026-11-23", "no"]
)
def test_ids_stay_as_they_were_written(written: str):
    account = emulated(f"accounts: {{default: {{customer_id: {written}, account_id: '{written}'}}}}").accounts[
        "default"
    ]
    assert (account.customer_id, account.account_id) == (written, written)


def test_durations_are_seconds_and_sizes_are_bytes():
    config = emulated("delivery: {linger: 500ms, request_timeout: 2m}\nserver: {max_body: 64KiB}")
    assert (config.delivery.linger, config.delivery.request_timeout) == (0.5, 120.0)
    assert config.server.max_body == 65_536


def test_value_of_an_event_stays_exact():
    event = emulated("events: {lead: {goal: Lead, value: 49.901, currency: eur}}").events["lead"]
    assert (event.value, event.currency) == (Decimal("49.901"), "EUR")


def test_accounts_and_events_replace_the_defaults_as_wholes():
    config = emulated("accounts: {shop: }\nevents: {order: {goal: Order}}")
    assert list(config.accounts) == ["shop"]
    assert config.events == {"order": EventSection(goal="Order")}


def test_events_may_leave_the_account_to_the_request_where_there_are_several():
    config = emulated("accounts: {a: , b: }\nevents: {lead: {goal: Lead}, order: {goal: Order, account: b}}")
    assert [event.account for event in config.events.values()] == [None, "b"]


def test_account_may_call_the_goal_of_an_event_otherwise():
    config = emulated("accounts: {us: {goals: {lead: Lead US}}, eu: }\nevents: {lead: {goal: Lead}}")
    assert {name: dict(account.goals) for name, account in config.accounts.items()} == {
        "us": {"lead": "Lead US"},
        "eu": {},
    }


def test_hosts_are_lower_cased_and_lose_their_brackets():
    config = emulated("server: {host: '::1', allowed_hosts: [Shop.Example, '[::1]']}")
    assert config.server.allowed_hosts == ("shop.example", "::1")


@pytest.mark.parametrize(
    "address",
    ["https://x.example", "https://x.example:8/v1", "http://127.0.0.1:9", "http://[::1]:9", "http://localhost"],
)
def test_endpoints_are_https_or_on_this_machine_and_lose_the_last_slash(address: str):
    config = parse(
        PRODUCTION.replace(
            "environment: production", f"environment: production\n  endpoints: {{campaign: '{address}/'}}"
        ),
        {},
    )
    assert config.microsoft.endpoints.given() == {"campaign": address}


def test_sections_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        emulated().server.port = 1


def test_byte_order_mark_is_not_part_of_the_first_key(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text(EMULATOR, "utf-8-sig")
    assert load(file, {}).config == emulated()


# --- The environment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "environ", "host"),
    [
        ("${HOST}", {"HOST": "a.example"}, "a.example"),
        ("${HOST:-b.example}", {}, "b.example"),
        ("${HOST:-b.example}", {"HOST": ""}, "b.example"),
        ("${HOST:-b.example}", {"HOST": "a.example"}, "a.example"),
        ("www.${SHOP}.${TLD:-example}", {"SHOP": "toys"}, "www.toys.example"),
    ],
)
def test_variables_are_replaced_inside_values(written: str, environ: dict[str, str], host: str):
    assert emulated(f"server: {{host: '{written}'}}", **environ).server.host == host


def test_replaced_values_are_typed_like_written_ones():
    config = emulated("server: {port: '${PORT:-9000}', max_body: '${BODY}'}", BODY="1MiB")
    assert (config.server.port, config.server.max_body) == (9000, 2**20)


def test_what_a_variable_holds_is_not_replaced_again():
    text = PRODUCTION.replace("test-developer-token", "${TOKEN}")
    assert parse(text, {"TOKEN": "test-${X}"}).microsoft.developer_token == SecretStr("test-${X}")


def test_comments_may_speak_of_variables():
    assert emulated("# set ${NOTHING} first\n") == emulated()


# --- Secrets ---------------------------------------------------------------------------------------------------------


def test_secret_is_read_from_its_file_without_the_last_line_break(tmp_path: Path):
    (tmp_path / "token").write_text("test-token\r\n")
    text = PRODUCTION.replace("developer_token: test-developer-token", f"developer_token_file: {tmp_path}/token")
    assert parse(text, {}).microsoft.developer_token == SecretStr("test-token")


def test_api_keys_file_holds_one_key_per_line(tmp_path: Path):
    (tmp_path / "keys").write_text("test-key-1-of-ours\n\n  test-key-2-of-ours  \n")
    config = emulated(f"server: {{api_keys: [], api_keys_file: '{tmp_path}/keys'}}")
    assert config.server.api_keys == (SecretStr("test-key-1-of-ours"), SecretStr("test-key-2-of-ours"))


@pytest.mark.parametrize("host", ["::ffff:127.0.0.1", "[::ffff:7f00:1]"])
def test_address_of_ipv4_in_the_clothes_of_ipv6_is_listened_on_as_what_it_is(host: str):
    assert emulated(f"server: {{host: '{host}'}}").server.host == "127.0.0.1"


def test_empty_secret_beside_its_file_is_no_contradiction(tmp_path: Path):
    (tmp_path / "key").write_text("test-key-0123456789")
    config = emulated(f'storage: {{encryption_key: "", encryption_key_file: {tmp_path}/key}}')
    assert config.storage.encryption_key == SecretStr("test-key-0123456789")


def test_file_named_by_an_empty_variable_counts_as_absent():
    assert emulated("storage: {encryption_key_file: '${KEY_FILE:-}'}") == emulated()


def test_secrets_are_masked_wherever_the_configuration_is_printed():
    canary = "test-canary-0123456789"
    text = PRODUCTION.replace("test-developer-token", canary)
    text = text.replace("  client_id:", f"  client_secret: {canary}\n  refresh_token: {canary}\n  client_id:")
    text += f"server: {{api_keys: [{canary}]}}\nstorage: {{encryption_key: {canary}}}\n"
    text += f"alerts: {{webhook: 'https://hooks.example/{canary}?token={canary}'}}\n"
    config = parse(text, {})
    assert canary not in f"{config!r} {config} {masked(config)} {masked_yaml(config)} {config.model_dump()}"
    assert masked(config)["server"]["api_keys"] == ["***"]
    assert masked(config)["storage"]["encryption_key"] == masked(config)["alerts"]["webhook"] == "***"
    for key in ("client_secret", "developer_token", "refresh_token"):
        assert masked(config)["microsoft"][key] == "***"


def test_no_refusal_repeats_a_value():
    """A secret that is given to the wrong key must not be printed either."""
    canary = "canary~0123456789"
    places = [
        f"microsoft: {{environment: {canary}, client_secret: [{canary}], developer_token_file: {canary}}}",
        f"microsoft: {{client_secret:{canary}}}",
        f"microsoft: {canary}",
        f"microsoft:\n  client_secret: *{canary}",
        f"microsoft:\n  client_secret: &{canary}",
        f"microsoft:\n  client_secret: !{canary}!x y",
        f"microsoft:\n  client_secret: '{canary}",
        f"microsoft:\n  client_secret: ${{{canary}}}",
        f"storage: {{url: 'postgresql://u:{canary}@h/d', encryption_key: {canary[:9]}, retention: {canary}}}",
        f"server: {{api_keys: ['{canary} {canary}'], host: '{canary}', port: {canary}, max_body: {canary}}}",
        f"microsoft: {{redirect_uri: '{canary}', tenant: '{canary}', endpoints: {{customer: 'https://u:{canary}@h'}}}}",
        f"microsoft: {{environment: emulator, ca_bundle: {canary}, refresh_token: {canary}}}",
        f"accounts: {{a: {{account_id: {canary}}}}}\n{PRODUCTION.partition('accounts')[0]}",
    ]
    for text in places:
        assert "canary~" not in "\n".join(refused(text)), text


# --- Showing ---------------------------------------------------------------------------------------------------------


def test_masked_configuration_has_short_units_and_no_unset_keys():
    shown = masked(emulated("delivery: {linger: 1500ms}\nevents: {lead: {goal: Lead, value: 49.90, currency: EUR}}"))
    assert shown["delivery"]["linger"] == "1500ms"
    assert shown["storage"]["retention"] == "90d"
    assert shown["server"]["max_body"] == "2MiB"
    assert shown["events"] == {"lead": {"goal": "Lead", "value": 49.9, "currency": "EUR"}}
    assert shown["microsoft"]["endpoints"] == {}


def test_masked_yaml_without_secrets_reads_as_the_same_configuration():
    config = emulated(
        "matching: {default_country: NO}\naccounts: {x: {customer_id: 012}}\nserver: {allowed_hosts: ['::1']}\n"
        "events: {lead: {goal: 'yes', value: 0.125, currency: USD, window: 36h, enhanced: false}}"
    )
    assert parse(masked_yaml(config), {}) == config


# --- Reload ----------------------------------------------------------------------------------------------------------


def test_changes_show_what_a_reload_does_and_what_needs_a_restart():
    old = emulated("storage: {encryption_key: test-key-0123456789}")
    new = emulated(
        "storage: {encryption_key: test-key-other-one}\nserver: {port: 1}\ndelivery: {linger: 3s}\n"
        "events: {lead: {goal: Sidecar Lead, category: SubmitLeadForm}, trial: {goal: Trial}}"
    )
    reloadable, restart = changes(old, new)
    assert reloadable == ("events.purchase", "events.signup", "events.trial", "delivery.linger")
    assert restart == ("server.port", "storage.encryption_key")


def test_nothing_changes_between_equal_configurations():
    assert changes(emulated(), emulated()) == ((), ())


# --- Which file ------------------------------------------------------------------------------------------------------


def test_config_option_wins_over_the_variable_and_that_over_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    given, named, here = tmp_path / "given.yaml", tmp_path / "named.yaml", Path("config.yaml")
    for file in (given, named, here):
        file.touch()
    environ = {"SIDECAR_CONFIG": str(named)}
    assert [locate(given, environ), locate(None, environ), locate(None, {})] == [given, named, here]


def test_missing_file_is_reported_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    told = []
    for given, environ in ((Path("a.yaml"), {}), (None, {"SIDECAR_CONFIG": "b.yaml"}), (None, {})):
        with pytest.raises(ConfigError) as caught:
            locate(given, environ)
        told.append(str(caught.value))
    assert told == [
        "a.yaml: there is no such file; --config names it",
        "b.yaml: there is no such file; $SIDECAR_CONFIG names it",
        "config.yaml: there is no such file; make it with `sidecar init`, or name another with "
        "--config or $SIDECAR_CONFIG",
    ]


def test_unreadable_file_is_reported(tmp_path: Path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for path, message in (
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
        (tmp_path / "binary.yaml", "is not UTF-8 text"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        assert str(caught.value) == f"{path}: {message}"
