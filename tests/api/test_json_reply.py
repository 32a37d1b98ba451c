"""A value as the JSON of an answer: in UTF-8, or in ASCII where a text has no UTF-8 form."""

import json

import pytest

from sidecar.api.http.reply import encode
from sidecar.core.intake.problem import Warning_


def test_text_leaves_as_utf_8() -> None:
    assert encode({"goal": "Käufe"}) == '{"goal":"Käufe"}'.encode()


@pytest.mark.parametrize("text", ["\ud800", "K\udfff\udc00ufe", "\ud83d"])
def test_half_a_surrogate_pair_cannot_break_an_answer(text: str) -> None:
    """`/v1/validate` shows the steps of an e-mail address as it was given."""
    value = {"steps": ({"result": text},), "warnings": (Warning_("email_unusable", "email", f"Kä {text}"),)}
    read = json.loads(encode(value))
    assert read["steps"] == [{"result": text}]
    assert read["warnings"] == [{"code": "email_unusable", "field": "email", "message": f"Kä {text}"}]
