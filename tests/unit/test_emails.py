"""E-mail addresses: every vector, what must not come out, and what holds for any text."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.intake.emails import STEPS, normalise
from sidecar.core.intake.hashing import EMPTY_SHA256, email_sha256

JOHN = "ec81f3ac7b2b19675bab9d54cf416f9f18cff87c97da5cca82c0f0891bc40602"

MUNICH = (
    *(
        "münchen.example",
        "MÜNCHEN.example",
        "mu\u0308nchen.example",
        "xn--mnchen-3ya.example",
        "XN--MNCHEN-3YA.Example",
    ),
    *("münchen。example", "münchen．example", "ｍüｎｃｈｅｎ.example", "mün\u200bchen.example", " münchen . example "),
)
"""One domain."""

EMAILS = [
    ("john@contoso.com", "john@contoso.com", JOHN),
    (
        "  Jane.Doe+Shopping@Contoso.com ",
        "janedoe@contoso.com",
        "62a8040a00736e70808e43009b5c63c4f6229ced98f486d0968441b292b9858a",
    ),
    (
        "ex.ample@outlook.com",
        "example@outlook.com",
        "e2e7dbfa5e7b07f94e15295f700a2a9b486799848797cf3e0ddeae7425862f93",
    ),
    (
        "name+withplus@outlook.com",
        "name@outlook.com",
        "62de920b6b0a90e990ad75450ee49bd908958c81185bf57489a090179dadedec",
    ),
    ("j.o.h.n+x+y@contoso.com", "john@contoso.com", JOHN),
    (
        "José.Pérez@contoso.com",
        "joseperez@contoso.com",
        "dad66209ebb22debf12f38e71d04d91d7e9d9d43ec98336d6fe96ece1889a985",
    ),
    (
        "john@mail.contoso.co.uk",
        "john@mail.contoso.co.uk",
        "78b066dc02c9cf565d722208efd17655376750468a3d2fde785e9a6c29cbb909",
    ),
    ("Jose\u0301.Pe\u0301rez@contoso.com", "joseperez@contoso.com", None),
    ("jo hn\t@ contoso .com\u00a0", "john@contoso.com", None),
    ("john＠contoso．com", "john@contoso.com", None),  # typed with an East Asian keyboard
    ("o'hara_1-2@x-y.example", "o'hara_1-2@x-y.example", None),
    ("\ufeffjo\u200bhn\u00ad@con\u2060toso.c\u034fom\u3164", "john@contoso.com", JOHN),
    *((f"john@{domain}", "john@xn--mnchen-3ya.example", None) for domain in MUNICH),
    ("José@josé.example", "jose@xn--jos-dma.example", None),
    ("john@straße.example", "john@xn--strae-oqa.example", None),
    ("john@例え.テスト", "john@xn--r8jz45g.xn--zckzah", None),
    ("john@мойдомен.рф", "john@xn--d1acklchcc.xn--p1ai", None),
]


@pytest.mark.parametrize(("written", "normalised", "hashed"), EMAILS)
def test_email_is_normalised_and_hashed_as_microsoft_does(written: str, normalised: str, hashed: str | None) -> None:
    assert normalise(written) == normalised
    assert email_sha256(written) == (hashed or hashlib.sha256(normalised.encode()).hexdigest())


@pytest.mark.parametrize(
    "written",
    [
        "john@contoso",
        "@contoso.com",
        ".@contoso.com",
        "+x@contoso.com",
        "john@contoso.com.",
        "john@.com",
        "john@contoso..com",
        "a@b@contoso.com",
        "a+b@c@contoso.com",
        "contoso.com",
        "John <john@contoso.com>",
        "john@contoso.com, jane@contoso.com",
        "straße@contoso.com",
        "søren@contoso.com",
        "john@-münchen.example",
        "john@mün@chen.example",
        "john@münchen..example",
        "john@münchen",
        "john@münchen.example.",
        "john@mün_chen.example",
        "john@❤.example",
        "john@\u0301a.example",
        f"john@{'ü' * 64}.example",
        f"john@{'ü' * 300}",
        "中文@contoso.com",
        "иван@contoso.com",
        "john\x00@contoso.com",
        "\ud800@contoso.com",
        "@",
        "n/a",
        "",
        "   ",
        EMPTY_SHA256,
        "a" * 310 + "@contoso.com",
    ],
)
def test_text_that_is_no_address_has_no_hash(written: str) -> None:
    assert normalise(written) is None
    assert email_sha256(written) is None


def test_dots_and_plus_go_in_every_domain_unlike_googles_rule() -> None:
    wrong = "d4a9fb564365bc6e6acc34b5eb4c22aef2e0850fec218ed9070e66b085323e41"
    assert hashlib.sha256(b"jane.doe+shopping@contoso.com").hexdigest() == wrong
    assert email_sha256("  Jane.Doe+Shopping@Contoso.com ") != wrong


@given(st.one_of(st.text(), st.emails(), st.builds("{}@{}.com".format, st.text(min_size=1), st.text(min_size=1))))
def test_normalising_an_email_twice_equals_normalising_it_once(written: str) -> None:
    once = normalise(written)
    assert once is None or normalise(once) == once


@given(st.emails(), st.text(alphabet=" \t\r\n\u00a0\u3000", max_size=3))
def test_case_and_blanks_around_an_email_do_not_matter(address: str, blanks: str) -> None:
    assert email_sha256(blanks + address.upper() + blanks) == email_sha256(address)


ASCII = st.text(st.characters(max_codepoint=127))


@given(ASCII | st.builds("{}@{}.com".format, ASCII, ASCII) | st.emails())
def test_steps_lead_to_the_address(text: str) -> None:
    shown = text
    for _, step in STEPS:
        shown = step(shown)
    assert normalise(text) in (None, shown)
    assert normalise(text) == normalise(shown)
