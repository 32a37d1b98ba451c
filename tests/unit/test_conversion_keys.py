"""Keys and digests as they lie in outboxes: they must not change, or repeats would count again."""

from decimal import Decimal

from sidecar.core.conversion import Conversion
from sidecar.core.instant import UnixSeconds

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
    assert CONVERSION.key().hash == -2470513400749601744
    assert CONVERSION.content() == "8b21d6039471b263fe74aa3add3ccd79"


def test_visitor_is_part_of_both_where_there_is_one() -> None:
    one, other = CONVERSION._replace(visitor_id="v-1"), CONVERSION._replace(visitor_id="v-2")
    assert len({each.key().digest for each in (CONVERSION, one, other)}) == 3
    assert len({each.content() for each in (CONVERSION, one, other)}) == 3
