"""What is probably a mistake in a configuration that can be used: told with key and line, never refused."""

from pathlib import Path

import pytest

from sidecar.config import load

SECRET = "test-Secret~of.the_application"
CLIENT_ID = "0a1b2c3d-1234-4abc-9def-0123456789ab"
GOOD = """\
server:
  port: 8077
storage: {encryption_key: "test-encryption-key-of-the-shop"}
microsoft:
  environment: production
  client_id: 0a1b2c3d-1234-4abc-9def-0123456789ab
  client_secret: test-Secret~of.the_application
  developer_token: 012345ABCDEF
  refresh_token: M.C507_test
  redirect_uri: http://localhost:8077/oauth/callback
accounts:
  eu: {customer_id: 111, account_id: 222}
"""
SANDBOX = GOOD.replace("production", "sandbox").replace("012345ABCDEF", "BBD37VB98")


def warned(folder: Path, text: str, **environ: str) -> list[str]:
    """The warnings about a file that holds `text`; none of them repeats a secret."""
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    found = [warning.text("config.yaml") for warning in load(file, environ).warnings]
    assert "test-" not in "".join(found)
    return found


@pytest.mark.parametrize("text", [GOOD, SANDBOX, "microsoft: {environment: emulator}"])
def test_good_configuration_has_no_warning(tmp_path: Path, text: str) -> None:
    assert warned(tmp_path, text) == []


@pytest.mark.parametrize(
    ("right", "wrong", "line", "key", "words"),
    [
        # The sign-in's way back
        ("port: 8077", "port: 9000", 10, "microsoft.redirect_uri", "leads to port 8077, and server.port is 9000"),
        ("localhost:8077", "localhost:8078", 10, "microsoft.redirect_uri", "leads to port 8078"),
        ("localhost:8077", "127.0.0.1", 10, "microsoft.redirect_uri", "leads to port 80,"),
        # The secret
        (
            "test-Secret~of.the_application",
            CLIENT_ID.replace("0", "1"),
            7,
            "microsoft.client_secret",
            "not its Secret ID",
        ),
        (SECRET, CLIENT_ID.upper(), 7, "microsoft.client_secret", "not its Secret ID"),
        (SECRET, "012345ABCDEF", 7, "microsoft.client_secret", "two different things"),
        (SECRET, "test-Secret of", 7, "microsoft.client_secret", "has a blank"),
        # Quotes, and what was not filled in
        (SECRET, "'\"test-x\"'", 7, "microsoft.client_secret", "quotes around it count"),
        ("012345ABCDEF", "\"'0123ABCD'\"", 8, "microsoft.developer_token", "quotes around it count"),
        ("012345ABCDEF", "“0123ABCD”", 8, "microsoft.developer_token", "quotes around it count"),
        ("test-encryption-key-of-the-shop", "'test-encryption-key-of-the-shop'", 3, "storage.encryption_key", "quotes"),
        (SECRET, "$MSADS_CLIENT_SECRET", 7, "microsoft.client_secret", "write ${NAME}"),
        ("012345ABCDEF", "'%TOKEN%'", 8, "microsoft.developer_token", "write ${NAME}"),
        ("012345ABCDEF", "<your token>", 8, "microsoft.developer_token", "placeholder"),
        ("012345ABCDEF", "changeme", 8, "microsoft.developer_token", "placeholder"),
        (CLIENT_ID, "11111111-2222-3333-4444-555555555555", 6, "microsoft.client_id", "placeholder"),
        # The wrong thing pasted
        ("012345ABCDEF", "bbd37vb98", 8, "microsoft.developer_token", "the public token of the sandbox"),
        ("012345ABCDEF", CLIENT_ID, 8, "microsoft.developer_token", "looks like an id"),
        ("012345ABCDEF", "test-Abc~def.ghi", 8, "microsoft.developer_token", "looks like a client secret"),
        (CLIENT_ID, "msads-sidecar", 6, "microsoft.client_id", "no Application (client) ID"),
        (CLIENT_ID, f"{CLIENT_ID}\n  tenant: {CLIENT_ID}", 6, "microsoft.client_id", "equals microsoft.tenant"),
        ("M.C507_test", "eyJhbGciOi.test", 9, "microsoft.refresh_token", "looks like an access token"),
        (
            "  redirect_uri: http",
            "  endpoints: {campaign: 'https://campaign.api.sandbox.bingads.microsoft.com'}\n  redirect_uri: http",
            10,
            "microsoft.endpoints.campaign",
            "an address of sandbox",
        ),
        # Ids
        ("account_id: 222", "account_id: 111", 12, "accounts.eu.account_id", "the same as customer_id"),
        ("account_id: 222", "account_id: 180012345", 12, "accounts.eu.account_id", "the example of docs/connect.md"),
        ("222}", "222}\n  us: {customer_id: 222, account_id: 111}", 13, "accounts.us", "has them swapped"),
        ("222}", "222}\n  us: {customer_id: 222, account_id: 5}", 13, "accounts.us", "has them swapped"),
        (
            "222}",
            "222}\n  us: {customer_id: 7, account_id: 222}",
            13,
            "accounts.us.account_id",
            "same ad account as eu",
        ),
    ],
)
def test_probable_mistake_is_reported_with_its_key_and_line(
    tmp_path: Path, right: str, wrong: str, line: int, key: str, words: str
) -> None:
    assert right in GOOD
    [message] = warned(tmp_path, GOOD.replace(right, wrong, 1))
    assert message.startswith(f"config.yaml:{line}: {key}: warning: ")
    assert words in message


def test_account_without_ids_is_said_to_wait_and_contradicts_no_other(tmp_path: Path) -> None:
    text = GOOD.replace("eu: {customer_id: 111, account_id: 222}", "eu: {}\n  us: {goals: {lead: US Lead}}")
    messages = warned(tmp_path, text)
    assert [message.partition(": warning: ")[0] for message in messages] == [
        "config.yaml:12: accounts.eu",
        "config.yaml:13: accounts.us",
    ]
    assert all("`sidecar accounts` lists the ids" in message for message in messages)
    without = GOOD.partition("accounts:")[0]
    assert [message.partition(": warning")[0] for message in warned(tmp_path, without)] == [
        "config.yaml: accounts.default"
    ]


def test_token_of_production_in_the_sandbox_is_reported(tmp_path: Path) -> None:
    [message] = warned(tmp_path, GOOD.replace("production", "sandbox"))
    assert message.startswith("config.yaml:8: microsoft.developer_token: warning: looks like a token of production")


def test_port_that_only_the_default_address_contradicts_is_reported_at_the_port(tmp_path: Path) -> None:
    text = GOOD.replace("port: 8077", "port: 9000", 1).replace(
        "  redirect_uri: http://localhost:8077/oauth/callback\n", ""
    )
    [message] = warned(tmp_path, text)
    assert message.startswith("config.yaml:2: server.port: warning: microsoft.redirect_uri leads to port 8077")


def test_emulator_is_warned_of_a_port_only_where_the_file_has_an_address_of_its_own(tmp_path: Path) -> None:
    """It signs itself in, so any port will do for a first try: also in the file of `sidecar init`."""
    text = "server: {port: 9000}\nmicrosoft: {environment: emulator%s}"
    assert warned(tmp_path, text % "") == []
    assert warned(tmp_path, text % ", redirect_uri: 'http://localhost:8077/oauth/callback'") == []
    [message] = warned(tmp_path, text % ", redirect_uri: 'http://localhost:8078/oauth/callback'")
    assert message.startswith(
        "config.yaml:2: microsoft.redirect_uri: warning: leads to port 8078, and server.port is 9000"
    )


def test_port_that_the_system_chooses_contradicts_no_address(tmp_path: Path) -> None:
    assert warned(tmp_path, GOOD.replace("port: 8077", "port: 0", 1)) == []


def test_address_behind_a_proxy_or_name_may_have_any_port(tmp_path: Path) -> None:
    for address in ("https://localhost/oauth/callback", "https://shop.example/oauth/callback"):
        assert warned(tmp_path, GOOD.replace("http://localhost:8077/oauth/callback", address)) == []


@pytest.mark.parametrize("key", ["client_secret", "developer_token"])
def test_secret_file_with_a_byte_order_mark_is_read_without_it_and_reported(tmp_path: Path, key: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\xef\xbb\xbf0123ABCDEF\r\n")
    lines = [f"  {key}_file: {secret}" if line.startswith(f"  {key}:") else line for line in GOOD.splitlines()]
    text = "\n".join(lines)
    number = next(place for place, line in enumerate(lines, 1) if f"{key}_file" in line)
    [message] = warned(tmp_path, text)
    assert message.startswith(
        f"config.yaml:{number}: microsoft.{key}_file: warning: the file begins with a byte order mark"
    )
    config = load(tmp_path / "config.yaml", {}).config
    assert getattr(config.microsoft, key).get_secret_value() == "0123ABCDEF"


def test_doubt_about_a_secret_in_a_file_names_the_key_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{CLIENT_ID}\n")
    (tmp_path / "keys").write_text("\"test-key-of-the-server\"\n'test-key-of-the-backup'\n")
    text = GOOD.replace("client_secret: test-Secret~of.the_application", f"client_secret_file: {tmp_path / 'secret'}")
    text = text.replace("  port: 8077", f"  port: 8077\n  api_keys_file: {tmp_path / 'keys'}", 1)
    assert [message.partition(" warning")[0] for message in warned(tmp_path, text)] == [
        "config.yaml:3: server.api_keys_file:",
        "config.yaml:8: microsoft.client_secret_file:",
    ]


def test_value_of_a_variable_is_reported_at_the_key_that_names_it(tmp_path: Path) -> None:
    """`docker run --env-file` keeps the quotes of `NAME='value'`."""
    text = GOOD.replace(SECRET, "${SECRET}")
    [message] = warned(tmp_path, text, SECRET="'test-of-an-env-file'")
    assert message.startswith(
        "config.yaml:7: microsoft.client_secret: warning: the quotes around it count as part of it"
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://db.example/shop", ["docs/postgresql.md"]),
        ("postgresql://a.example,127.0.0.1/shop?target_session_attrs=read-write", ["docs/postgresql.md"]),
        ("postgresql://db.example/shop?sslmode=verify-full", []),
        ("postgresql://127.0.0.1:5432,localhost/shop", []),
        ("postgresql://postgres/shop", []),
        ("postgresql:///shop?host=/run/postgresql.socket", []),
    ],
)
def test_way_to_a_far_server_is_to_be_protected(tmp_path: Path, url: str, words: list[str]) -> None:
    found = warned(tmp_path, f"storage: {{url: '{url}'}}\nmicrosoft: {{environment: emulator}}")
    assert len(found) == len(words)
    assert all(word in line and "storage.url" in line for word, line in zip(words, found, strict=True))
