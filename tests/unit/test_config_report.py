"""How a refused configuration is told: broken YAML, lines, and all problems together."""

from pathlib import Path

import pytest

from sidecar.config import ConfigError, ConfigProblem, parse

EMULATOR = "microsoft: {environment: emulator}\n"


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, {})
    return str(caught.value).splitlines()


def test_item_of_a_list_is_reported_with_its_own_line():
    lines = refused(EMULATOR + "server:\n  allowed_hosts:\n    - a\n    - b:1\n")
    assert lines[0].startswith("config.yaml:5: server.allowed_hosts[1]: ")


def test_every_wrong_item_of_a_list_is_reported_and_nothing_besides():
    lines = refused(EMULATOR + 'server:\n  allowed_hosts: ["http://a", b, "http://c"]\n')
    assert [line.split(": ")[1] for line in lines] == ["server.allowed_hosts[0]", "server.allowed_hosts[2]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "server:\n\thost: a",
            "config.yaml:2: is not YAML: while scanning for the next token, "
            "found character '\\t' that cannot start any token",
        ),
        (
            "server: {port: 1\nstorage: {}",
            "config.yaml:2: is not YAML: while parsing a flow mapping, expected ',' or '}', but got ':'",
        ),
        (
            "b: 'x\nc: 1\nd: 2\n",
            "config.yaml:1: is not YAML: while scanning a quoted scalar, found unexpected end of stream",
        ),
        ("a: 1\nb: 'x", "config.yaml:2: is not YAML: while scanning a quoted scalar, found unexpected end of stream"),
        (
            "a: 1\n---\nb: 1",
            "config.yaml:2: is not YAML: expected a single document in the stream, but found another document",
        ),
        (f"a: 1\nb: {'[' * 2_000}", "config.yaml:2: is not YAML: it is nested too deep"),
        ("a: 1\nb: \x07", "config.yaml:2: holds a character that YAML does not allow"),
        ("- server", "config.yaml:1: must be a mapping of keys, such as `server:`"),
        ("server", "config.yaml:1: must be a mapping of keys, such as `server:`"),
    ],
)
def test_broken_yaml_is_refused_with_its_line(text: str, message: str):
    assert refused(text) == [message]


@pytest.mark.parametrize("value", ["&anchor x", "*alias", "!!int 5", "!tag x"])
def test_anchors_aliases_and_tags_are_refused_since_a_secret_could_look_like_one(value: str):
    assert refused(f"microsoft:\n  client_secret: {value}\n") == [
        "config.yaml:2: is not YAML: anchors, aliases and tags are not read; quote a value that begins with &, * or !"
    ]


def test_key_given_twice_is_refused_with_both_lines():
    assert refused(EMULATOR + "server:\n  port: 1\n  port: 2\n") == [
        "config.yaml:4: server.port: is given twice, first in line 3"
    ]


QUOTE = 'put quotes around it: {} YAML takes ${{NAME}} only as "${{NAME}}"'


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("microsoft: {environment: emulator, client_id: ${X}}", 1, QUOTE.format("inside {…} and […]")),
        ("a: 1\nserver: {api_keys: [${X}]}", 2, QUOTE.format("inside {…} and […]")),
        ("server: {\n  host: ${X:-127.0.0.1},\n}", 2, QUOTE.format("inside {…} and […]")),
        ("a:\r\n  b: {c: x${X}y}\r\n", 2, QUOTE.format("inside {…} and […]")),
        ("a: {b: {c: ${X}}}", 1, QUOTE.format("inside {…} and […]")),
        ("a: {${X}: b}", 1, QUOTE.format("inside {…} and […]")),
        ("a: {b: ${X", 1, QUOTE.format("inside {…} and […]")),
        ("a: 1\nb: ${X:-c: d}", 2, QUOTE.format("beside a colon")),
        ("a: @b", 1, "quote a value that begins with %, @ or `"),
        ("a: 1\nb: %c", 2, "quote a value that begins with %, @ or `"),
    ],
)
def test_value_that_yaml_takes_in_quotes_only_has_a_hint_of_its_own(text: str, line: int, hint: str):
    assert refused(text) == [f"config.yaml:{line}: {hint}"]


def test_quoted_reference_is_read_inside_braces_too():
    config = parse(EMULATOR + 'server: {host: "${X:-::1}", allowed_hosts: ["${Y}"]}', {"Y": "y"})
    assert (config.server.host, config.server.allowed_hosts) == ("::1", ("y",))


def test_key_without_a_blank_behind_its_colon_is_reported_by_its_beginning():
    assert refused("microsoft: {environment: emulator, client_secret:test-secret}") == [
        "config.yaml:1: microsoft.client_secret…: unknown key; did you mean microsoft.client_secret?"
    ]


def test_all_problems_are_reported_together_in_the_order_of_the_file():
    text = """\
server:
  prot: 8077
  max_body: 2MB
storage: {url: "${URL}", retention: 1d}
accounts: {a: {account_id: X1}, b: {customer_id: 5, account_id: 6}}
events:
  order: {value: 5}
  lead: {goal: Lead, account: c, enhanced: yes}
delivery:
  linger: 5m
microsoft:
  client_id: test-client
  environment: sandbox
  refresh_token_file: /none
"""
    with pytest.raises(ConfigError) as caught:
        parse(text, {}, Path("etc/sidecar.yaml"))
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [
        (2, "server.prot"),
        (3, "server.max_body"),
        (4, "storage.retention"),
        (4, "storage.url"),
        (5, "accounts.a.account_id"),
        (5, "accounts.a.customer_id"),
        (7, "events.order.goal"),
        (7, "events.order.value"),
        (8, "events.lead.account"),
        (8, "events.lead.enhanced"),
        (10, "delivery.linger"),
        (11, "microsoft.developer_token"),
        (14, "microsoft.refresh_token_file"),
    ]
    assert str(caught.value).startswith("etc/sidecar.yaml:2: server.prot: unknown key; did you mean server.port?\n")


def test_what_follows_from_a_problem_is_not_reported_again():
    """A wrong environment says nothing about credentials, wrong accounts nothing about the events'."""
    text = "microsoft: {environment: prod, refresh_token: test-x}\naccounts: 5\nevents: {a: {goal: A, account: shop}}"
    with pytest.raises(ConfigError) as caught:
        parse(text, {})
    assert [problem.key for problem in caught.value.problems] == ["microsoft.environment", "accounts"]


def test_problem_without_line_or_key_leaves_them_out():
    assert ConfigProblem(None, "", "is empty").text("c.yaml") == "c.yaml: is empty"
