"""Keys and digests as they lie in outboxes: they must not change, or repeats would count again."""

from decimal import Decimal
from itertools import product

import pytest
from msgspec.structs import replace

from sidecar.core.conversion import Conversion
from sidecar.core.instant import UnixSeconds
from sidecar.core.keys import Key, KeySource

CONVERSION = Conversion(
    account="main",
    event="purchase",
    goal="Sidecar Purchase",
    time=UnixSeconds(1_794_996_400),
    time_given=True,
    value=Decimal("99.99"),
    currency="USD",
    msclkid="f894f652ea334e739002f7167ab8f8e3",
    email_sha256="a" * 64,
    given_value=Decimal("99.99"),
    given_currency="USD",
)


def test_natural_key_and_content_are_those_of_the_first_version() -> None:
    assert CONVERSION.key().digest == "ddb6f926bf7a4c30d2b1c7bdb3f1997d"
    assert CONVERSION.key().hash == -4065936454342846449
    assert CONVERSION.content() == "8b21d6039471b263fe74aa3add3ccd79"


def test_visitor_is_part_of_both_where_there_is_one() -> None:
    one, other = replace(CONVERSION, visitor_id="v-1"), replace(CONVERSION, visitor_id="v-2")
    assert len({each.key().digest for each in (CONVERSION, one, other)}) == 3
    assert len({each.content() for each in (CONVERSION, one, other)}) == 3


def of_order(order_id: str, account: str = "main", event: str = "purchase") -> int:
    key = Key.of(KeySource.ORDER, account, event, order_id)
    assert key.hash is not None
    return key.hash


def test_hashes_are_those_of_the_version_that_keeps_neighbours_together() -> None:
    assert of_order("ORDER-10012345") == 2550941027600405315
    assert of_order("") == 6016280067384020477
    assert CONVERSION.key().hash == -4065936454342846449


def test_orders_that_count_up_lie_together_and_each_has_a_hash_of_its_own() -> None:
    hashes = {of_order(f"ORDER-10012{number:03d}") for number in range(1_000)}
    assert len(hashes) == 1_000
    assert len({number >> 24 for number in hashes}) == 1


def test_what_sets_orders_apart_elsewhere_keeps_them_apart() -> None:
    near = of_order("ORDER-10012345") >> 24
    others = [of_order("ORDER-10013345"), of_order("ORDER-10012345", account="other"), of_order("ORDER-10012345 ")]
    others += [of_order("ORDER-10012345", event="lead"), of_order("345"), of_order("45"), of_order("5")]
    assert near not in {number >> 24 for number in others}
    assert len(set(others)) == len(others)


@pytest.mark.parametrize("order_id", ["1", "12", "№ 4711", "订单一二三", "🛒🛒🛒", "x" * 200])
def test_hash_of_any_id_fits_into_64_bits(order_id: str) -> None:
    assert -(2**63) <= of_order(order_id) < 2**63


def test_end_of_an_id_is_not_readable_in_the_hash() -> None:
    assert len({of_order(f"ORDER-{head}-345") & 0xFFFFFF for head in range(100)}) == 100


@pytest.mark.parametrize("digits", ["０１２３４５６７８９", "๐๑๒๓๔๕๖๗๘๙", "٠١٢٣٤٥٦٧٨٩", "一二三四五六七八九十"])
def test_ids_in_any_script_have_hashes_of_their_own(digits: str) -> None:
    """Else a group would be looked up in thousands of rows that have nothing to do with it."""
    ids = ["".join(end) + "号" for end in product(digits, repeat=3)]
    assert len({of_order(id_) for id_ in ids}) == len({of_order(id_[:-1]) for id_ in ids}) == 1_000


@pytest.mark.parametrize("given", [{"order_id": "A-1"}, {"idempotency_key": "A-1"}])
def test_key_of_another_account_or_event_is_another(given: dict[str, str]) -> None:
    one = replace(CONVERSION, **given)
    keys = {one.key(), replace(one, account="other").key(), replace(one, event="lead").key()}
    assert len({key.digest for key in keys}) == len({key.hash for key in keys}) == 3


def test_header_key_and_order_id_of_the_same_text_are_two() -> None:
    """Each source of a key is a namespace of its own."""
    order, header = replace(CONVERSION, order_id="A-1"), replace(CONVERSION, idempotency_key="A-1")
    assert order.key().digest != header.key().digest
