"""Which known name was probably meant by one that is unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.did_you_mean import did_you_mean

EVENTS = ("purchase", "lead", "signup")


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("purchase_complete", EVENTS, "purchase"),
        ("purchase-completed-de", EVENTS, "purchase"),
        ("purchaseComplete", EVENTS, "purchase"),
        ("PurchaseOrderCompleted", EVENTS, "purchase"),
        ("lead.form.submitted", EVENTS, "lead"),
        ("leadgeneration", EVENTS, "lead"),
        ("order_purchase", EVENTS, "purchase"),
        ("purch", EVENTS, "purchase"),
        ("Sign Up", EVENTS, "signup"),
        ("sign_up", EVENTS, "signup"),
        ("SIGNUP", EVENTS, "signup"),
        ("purhcase", EVENTS, "purchase"),
        ("purchase", ("purchase_done", "lead"), "purchase_done"),
        ("purchase_complete", ("purchase_started_by_phone", "lead"), "purchase_started_by_phone"),
        ("purchase_completed", ("purchase", "purchase_complete"), "purchase_complete"),
        ("orderid", ("order_id", "order"), "order_id"),
        ("Sidecar Purchase EU 2026", ("Sidecar Purchase", "Sidecar Lead"), "Sidecar Purchase"),
        ("kauf_abgeschlossen", ("Kauf", "Anfrage"), "Kauf"),
    ],
)
def test_name_that_was_probably_meant(name: str, known: tuple[str, ...], meant: str) -> None:
    assert did_you_mean(name, known) == meant


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("refund", EVENTS),
        ("", EVENTS),
        ("___", ("_", "--")),
        ("le", EVENTS),
        ("trial", ()),
        ("Sidecar Subscription", ("Sidecar Purchase", "Sidecar Lead")),
        ("purchase" * 9, EVENTS),
    ],
)
def test_nothing_is_guessed_where_nothing_is_near(name: str, known: tuple[str, ...]) -> None:
    assert did_you_mean(name, known) is None


@given(st.text(), st.lists(st.text(max_size=20), max_size=5))
def test_only_known_names_are_meant(name: str, known: list[str]) -> None:
    assert did_you_mean(name, known) in (None, *known)
