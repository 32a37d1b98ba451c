"""One item of a request as a whole: names, keys, consent, what is skipped, shown and kept."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_kit import (
    CLICK,
    EMPTY,
    JOHN,
    NOW,
    PHONE,
    RULES,
    SECOND,
    TWO_ACCOUNTS,
    accepted,
    message,
    problems,
    reading,
    warned,
)

from sidecar.core.intake.conversion import SHAPE, Accepted, EventRule, RejectedItem, Skipped, normalized, read
from sidecar.core.keys import KeySource

# --- The item as a whole ---------------------------------------------------------------------------------------------


def test_full_conversion_is_read_to_canonical_form() -> None:
    conversion = accepted(
        time="2026-11-18T12:06:39.999+01:00",
        value=99.99,
        currency="eur",
        user={"email": " John@Contoso.com", "phone": "+1 (425) 555-1234"},
        consent="granted",
        account="default",
        external_attribution={"credit": 0.25, "model": "linear"},
        meta={"note": "é", "n": 1.5},
    )
    assert conversion.time == SECOND - 1
    assert (conversion.account, conversion.event, conversion.goal) == ("default", "purchase", "Sidecar Purchase")
    assert (conversion.value, conversion.currency) == (Decimal("99.99"), "EUR")
    assert (conversion.msclkid, conversion.email_sha256, conversion.phone_sha256) == (CLICK, JOHN, PHONE)
    assert conversion.external_attribution is not None
    assert conversion.external_attribution.credit == Decimal("0.25")
    assert conversion.meta == '{"note":"é","n":1.5}'


def test_null_means_absent_in_every_field() -> None:
    nothing: dict[str, Any] = dict.fromkeys(SHAPE.names - {"event", "order_id", "msclkid"})
    assert accepted(**nothing) == accepted()
    assert accepted(user={"email": None, "phone": None}) == accepted()
    assert problems(event=None) == [("event", "required")]


@pytest.mark.parametrize(
    "name", sorted(SHAPE.names - {"user", "external_attribution", "meta", "value", "time", "consent"})
)
def test_empty_string_is_a_problem(name: str) -> None:
    assert problems(**{name: ""}) == [(name, "empty")]


@pytest.mark.parametrize("name", ["email", "phone", "email_sha256", "phone_sha256", "country"])
def test_empty_string_is_a_problem_in_user(name: str) -> None:
    assert problems(user={name: ""}) == [(f"user.{name}", "empty")]


@pytest.mark.parametrize("name", sorted(SHAPE.names))
@pytest.mark.parametrize("value", [True, [], ["x"], {"x": 1}, ""])
def test_wrong_type_is_a_problem_of_that_field(name: str, value: Any) -> None:
    if name == "meta" and isinstance(value, dict):
        return
    assert {field.partition(".")[0] for field, _ in problems(**{name: value})} == {name}


@pytest.mark.parametrize("item", [None, 1, "x", [], True])
def test_item_that_is_no_object_is_refused(item: object) -> None:
    result = read(item, now=NOW, rules=RULES)
    assert isinstance(result, RejectedItem)
    assert [(problem.field, problem.code) for problem in result.problems] == [("", "not_an_object")]


def test_every_problem_is_found_at_once() -> None:
    given: dict[str, Any] = {
        "ordr_id": "A",
        "event": "purchse",
        "time": "2026-11-18T11:00:00",
        "value": "1",
        "currency": "XXX",
        "msclkid": "1",
        "user": {"emial": "a", "email_sha256": "x", "country": 49},
        "consent": "yes",
        "account": "nobody",
        "external_attribution": {},
        "meta": [],
    }
    assert set(problems(idempotency_key="\x00", **given)) == {
        ("ordr_id", "unknown_field"),
        ("event", "unknown_event"),
        ("time", "time_without_offset"),
        ("value", "not_a_number"),
        ("currency", "unknown_currency"),
        ("msclkid", "invalid_msclkid"),
        ("user.emial", "unknown_field"),
        ("user.email_sha256", "invalid_hash"),
        ("user.country", "not_text"),
        ("consent", "invalid_consent"),
        ("account", "unknown_account"),
        ("external_attribution.credit", "required"),
        ("external_attribution.model", "required"),
        ("meta", "not_an_object"),
        ("Idempotency-Key", "unprintable"),
    }


@pytest.mark.parametrize(
    ("given", "field", "meant"),
    [
        ({"ordr_id": 1}, "ordr_id", "did you mean order_id?"),
        ({"orderId": 1}, "orderId", "did you mean order_id?"),
        ({"email": "a"}, "email", "did you mean user.email?"),
        ({"user": {"emial": "a"}}, "user.emial", "did you mean user.email?"),
        ({"external_attribution": {"credit": 1, "model": "m", "modell": 1}}, "external_attribution.modell", "model?"),
        ({"visitor": "v-1"}, "visitor", "did you mean visitor_id?"),
        ({"gclid": None}, "gclid", "known are"),
    ],
)
def test_unknown_field_is_refused_with_what_was_meant(given: dict[str, Any], field: str, meant: str) -> None:
    assert problems(**given) == [(field, "unknown_field")]
    assert meant in message(**given)


def test_thousands_of_unknown_fields_are_counted_and_not_listed() -> None:
    found = problems(**{f"f{n}": n for n in range(3_000)})
    assert len(found) == 11
    assert found[-1] == ("?", "unknown_field")


@pytest.mark.parametrize("name", ["canary@contoso.com", "+14255551234", "x" * 65, "a b", "", "\ud800"])
def test_unknown_name_that_could_be_anything_is_not_repeated(name: str) -> None:
    assert problems(**{name: 1}) == [("?", "unknown_field")]
    assert name not in message(**{name: 1}) or not name


# --- event, account --------------------------------------------------------------------------------------------------


def test_unknown_event_is_refused_naming_the_known_ones() -> None:
    assert problems(event="purchse") == [("event", "unknown_event")]
    assert "events: purchase, lead, signup; did you mean purchase?" in message(event="purchse")
    assert "did you mean" not in message(event="zzz")


def test_account_defaults_to_the_events_else_to_the_only_one() -> None:
    assert accepted().account == "default"
    assert accepted(TWO_ACCOUNTS).account == "north"
    assert accepted(TWO_ACCOUNTS, account="south").account == "south"


def test_account_must_be_known_and_named_where_it_is_not_clear() -> None:
    assert problems(TWO_ACCOUNTS, account="east") == [("account", "unknown_account")]
    assert "accounts: north, south" in message(TWO_ACCOUNTS, account="east")
    assert problems(TWO_ACCOUNTS, event="lead") == [("account", "account_required")]
    assert problems(TWO_ACCOUNTS, event="lead", account="east") == [("account", "unknown_account")]


# --- order_id, Idempotency-Key ---------------------------------------------------------------------------------------

BAD_IDS = [
    (7, "not_text"),
    ("a\x00b", "unprintable"),
    ("a\nb", "unprintable"),
    ("a\ud800", "unprintable"),
    ("a\x85b", "unprintable"),
    (" ", "empty"),
    ("\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}", "empty"),
]


@pytest.mark.parametrize(("value", "code"), [*BAD_IDS, ("a" * 201, "too_long")])
def test_order_id_that_is_not_readable_text_is_refused(value: Any, code: str) -> None:
    assert problems(order_id=value) == [("order_id", code)]


@pytest.mark.parametrize("value", ["a", "é" * 200, "ORDER 1/2#3", "注文-1"])
def test_order_id_has_1_to_200_characters(value: str) -> None:
    assert accepted(order_id=value).order_id == value


@pytest.mark.parametrize(("value", "code"), [*BAD_IDS[1:], ("a" * 256, "too_long"), ("", "empty")])
def test_idempotency_key_that_is_no_name_is_refused_even_beside_an_order_id(value: str, code: str) -> None:
    assert problems(idempotency_key=value) == [("Idempotency-Key", code)]


BLANKS = [
    ("", " "),
    (" ", ""),
    ("\t", "\r\n"),
    ("\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}"),
    ("\ufeff", "\N{ZERO WIDTH SPACE}"),
    (" \N{LEFT-TO-RIGHT MARK} ", " \N{ZERO WIDTH JOINER}\N{SOFT HYPHEN}"),
]


@pytest.mark.parametrize(("before", "after"), BLANKS)
def test_blanks_around_an_id_do_not_make_another_one(before: str, after: str) -> None:
    ids: dict[str, Any] = {"order_id": "R 1", "visitor_id": "v-1", "account": "default", "event": "purchase"}
    blank = accepted(**{name: f"{before}{id_}{after}" for name, id_ in ids.items()})
    assert blank == accepted(**ids)
    key = accepted(order_id=None, idempotency_key=f"{before}R 1{after}").idempotency_key
    assert key == "R 1"


def test_blanks_within_an_id_and_letters_beyond_ascii_stay() -> None:
    for kept in ("R  1", "注文\N{ZERO WIDTH JOINER}1", "é\N{NO-BREAK SPACE}1"):
        assert accepted(order_id=f" {kept} ").order_id == kept


def test_order_id_wins_over_the_idempotency_key() -> None:
    assert accepted(idempotency_key="k" * 255).key().source is KeySource.ORDER
    assert accepted(order_id=None, idempotency_key="k" * 255).key().source is KeySource.HEADER
    assert accepted(idempotency_key="k").key() == accepted().key()


def test_goal_has_the_name_that_the_conversions_account_gives_it() -> None:
    """The natural key and what /v1/validate shows rest on it."""
    rule = EventRule("Purchase", account="north", goals={"south": "Purchase South"})
    rules = replace(TWO_ACCOUNTS, events={"purchase": rule})
    assert [accepted(rules, account=account).goal for account in (None, "north", "south")] == [
        "Purchase",
        "Purchase",
        "Purchase South",
    ]
    nothing = reading(rules, account="south", msclkid=None)
    assert (nothing, nothing.goal) == (Skipped("no_identifier", "purchase"), "Purchase South")


def test_without_any_key_the_natural_one_serves_and_without_time_nothing_does() -> None:
    assert accepted(order_id=None, time=SECOND).key().source is KeySource.NATURAL
    conversion, warnings = warned(order_id=None)
    assert conversion.key().source is KeySource.NONE
    assert warnings == [("not_repeatable", "order_id")]


# --- consent, skipping -----------------------------------------------------------------------------------------------


def test_denied_consent_is_skipped_with_any_identifier() -> None:
    assert reading(consent="denied") == Skipped("consent_denied", "purchase")
    assert reading(consent="denied", msclkid=None) == Skipped("consent_denied", "purchase")
    denied = replace(RULES, consent="denied")
    assert reading(denied) == Skipped("consent_denied", "purchase")
    assert isinstance(reading(denied, consent="granted"), Accepted)


def test_denied_consent_does_not_hide_problems() -> None:
    assert problems(consent="denied", value=-1) == [("value", "negative")]


@pytest.mark.parametrize("value", ["Granted", "true", "yes"])
def test_consent_is_granted_or_denied(value: str) -> None:
    assert problems(consent=value) == [("consent", "invalid_consent")]


def test_organic_sale_is_skipped_and_no_error() -> None:
    assert reading(msclkid=None) == Skipped("no_identifier", "purchase")
    result = reading(msclkid=None, user={"email": "john"})
    assert isinstance(result, Skipped)
    assert [warning.code for warning in result.warnings] == ["email_unusable"]


# --- What is shown, what is kept -------------------------------------------------------------------------------------


def test_normalized_form_shows_whole_hashes_and_exact_numbers() -> None:
    conversion = accepted(
        time=SECOND,
        value=999999999998.999,
        msclkid=f"_uet{CLICK}",
        user={"email": "john@contoso.com"},
        external_attribution={"credit": 1, "model": "m"},
    )
    shown = normalized(conversion)
    assert shown == {
        "account": "default",
        "event": "purchase",
        "goal": "Sidecar Purchase",
        "order_id": "A-1",
        "time": "2026-11-18T11:06:40Z",
        "value": 999999999998.999,
        "currency": "USD",
        "msclkid": CLICK,
        "visitor_id": None,
        "email_sha256": JOHN,
        "phone_sha256": None,
        "external_attribution": {"credit": 1, "model": "m"},
        "matched_by": ["msclkid", "email"],
    }
    assert '"value": 999999999998.999,' in json.dumps(shown)


@given(st.integers(min_value=0, max_value=999_999_999_999_000))
def test_every_possible_value_is_kept_and_shown_digit_by_digit(thousandths: int) -> None:
    value = Decimal(thousandths) / 1000
    result = read({"event": "purchase", "msclkid": CLICK, "value": value}, now=NOW, rules=RULES)
    assert isinstance(result, Accepted)
    assert result.conversion.value == value
    assert Decimal(json.dumps(normalized(result.conversion)["value"])) == value


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.decimals(), st.text(), st.sampled_from(["", CLICK, JOHN, EMPTY, "USD"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
USERS = st.dictionaries(
    st.sampled_from(["email", "phone", "email_sha256", "phone_sha256", "country"]) | st.text(), JSON
)
GOOD = {"event": "purchase", "order_id": "A-1", "msclkid": CLICK}
ITEMS = st.one_of(
    JSON,
    st.dictionaries(
        st.sampled_from(["event", "time", "value", "currency", "visitor_id", "meta"]), JSON, max_size=2
    ).map(lambda changes: GOOD | changes),
    st.fixed_dictionaries(
        {"event": st.just("purchase") | JSON},
        optional={name: USERS | JSON if name == "user" else JSON for name in sorted(SHAPE.names - {"event"})},
    ),
)


@given(ITEMS, st.one_of(st.none(), st.text()))
def test_any_json_is_accepted_skipped_or_refused_and_never_an_error(item: object, key: str | None) -> None:
    result = read(item, now=NOW, rules=RULES, idempotency_key=key)
    match result:
        case Accepted():
            assert normalized(result.conversion)["matched_by"]
            result.conversion.key()
            result.conversion.content()
        case Skipped():
            assert result.reason in ("consent_denied", "no_identifier")
        case RejectedItem():
            assert result.problems


EMAIL_CANARY = "canary.Plain@contoso.com"
PHONE_CANARY = "+1 (425) 555-9876"
CANARIES = ("canary", "contoso", "425", "555", "9876")
PLACES: list[dict[str, Any]] = [
    {"user": {"email": EMAIL_CANARY, "phone": PHONE_CANARY}},
    {"user": {"email": EMAIL_CANARY, "phone": PHONE_CANARY}, "consent": "denied"},
    {"user": {"email": EMAIL_CANARY + "@", "phone": PHONE_CANARY + "1111111"}, "msclkid": None},
    {"user": {"email": EMAIL_CANARY, "email_sha256": PHONE, "phone": PHONE_CANARY, "phone_sha256": JOHN}},
    {"user": {"email_sha256": EMAIL_CANARY, "phone_sha256": PHONE_CANARY, "country": EMAIL_CANARY}},
    {"user": {EMAIL_CANARY: 1, PHONE_CANARY: 2}},
    {"user": EMAIL_CANARY, "meta": PHONE_CANARY, "external_attribution": EMAIL_CANARY},
    dict.fromkeys(SHAPE.names - {"order_id"}, EMAIL_CANARY),
    dict.fromkeys(SHAPE.names - {"order_id"}, PHONE_CANARY),
    {"landing_url": f"https://shop.example/?email={EMAIL_CANARY}&msclkid={PHONE_CANARY}", "msclkid": None},
    {EMAIL_CANARY: 1, PHONE_CANARY: 1},
]


@pytest.mark.parametrize("given", PLACES)
def test_no_result_repeats_a_plain_email_or_phone(given: dict[str, Any]) -> None:
    result = reading(**given)
    # Hashes are hex, in which the phone's digits could stand by chance: these do not.
    assert not [canary for canary in CANARIES if canary in repr(result)]
    if isinstance(result, Accepted):
        assert not [canary for canary in CANARIES if canary in json.dumps(normalized(result.conversion))]
