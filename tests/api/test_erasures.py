"""Erasures over HTTP: requests, answers, and that no plain personal data is stored with them."""

import json
from typing import Any

import pytest
from api_kit import NOW, Api

from sidecar.api.erasures import read_wanted, show
from sidecar.api.http.problem import HttpProblem
from sidecar.core.erasure import Erasure, ErasureRequest, Phase, Subject
from sidecar.core.instant import UnixMillis
from sidecar.core.intake import hashing

EMAIL, PHONE = "shopper@contoso.com", "+14255551234"
NOTHING = {"conversions": 0, "skipped": 0, "retracted": 0, "clicks": 0, "log_entries": 0}


async def test_erasure_is_stored_and_shown(api: Api) -> None:
    answer = await api.post({"email": EMAIL}, "/v1/erasures")
    assert (answer.status, api.world.erasures) == (202, 1)
    assert answer.json == {
        "id": "erasure_1",
        "state": "running",
        "by": "email",
        "retract": False,
        "requested_at": "2026-11-23T14:30:45Z",
        "finished_at": None,
        "removed": NOTHING,
        "waiting": 0,
    }
    assert (await api.get("/v1/erasures/erasure_1")).json == answer.json


async def test_plain_forms_are_hashed_in_the_request(api: Api) -> None:
    await api.post({"email": EMAIL}, "/v1/erasures")
    await api.post({"phone": "0171 5551234", "country": "de"}, "/v1/erasures")
    search_values = [row["needle"] for row in api.place.query("SELECT needle FROM erasures ORDER BY id")]
    assert search_values == [hashing.email_sha256(EMAIL), hashing.phone_sha256("+491715551234")]
    held = api.place.stored_bytes()
    assert EMAIL.encode() not in held and b"5551234" not in held


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"email": " Shop.per+ads@Contoso.com"}, ErasureRequest(Subject.EMAIL, hashing.email_sha256(EMAIL) or "")),
        ({"email": "AB" * 32}, ErasureRequest(Subject.EMAIL, "ab" * 32)),
        ({"phone": PHONE}, ErasureRequest(Subject.PHONE, hashing.phone_sha256(PHONE) or "")),
        ({"visitor_id": "v-1", "email": None}, ErasureRequest(Subject.VISITOR, "v-1")),
        ({"order_id": "ORDER-1", "retract": True}, ErasureRequest(Subject.ORDER, "ORDER-1", True)),
    ],
)
def test_person_is_found_as_conversions_name_it(given: dict[str, Any], wanted: ErasureRequest) -> None:
    body = json.dumps(given).encode()
    assert read_wanted(body, None) == wanted


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ({}, ["not_exactly_one"]),
        ({"email": EMAIL, "order_id": "A"}, ["not_exactly_one"]),
        ({"email": "no address"}, ["unusable"]),
        ({"phone": "0171 5551234"}, ["unusable"]),
        ({"phone": "(425) 555-1234", "country": "XX"}, ["unusable"]),
        ({"phone": PHONE, "country": 1}, ["not_text"]),
        ({"order_id": "x" * 201, "retract": "yes"}, ["too_long", "not_a_boolean"]),
        ({"mail": EMAIL}, ["unknown_field", "not_exactly_one"]),
        ([], ["not_an_object"]),
    ],
)
async def test_what_cannot_be_erased_is_refused_with_every_reason(api: Api, given: Any, codes: list[str]) -> None:
    answer = await api.post(given, "/v1/erasures")
    assert (answer.status, answer.codes) == (422, codes)
    assert EMAIL not in answer.text
    assert api.world.erasures == 0


async def test_country_that_cannot_be_used_is_left_out_of_an_erasure_with_a_warning(api: Api) -> None:
    answer = await api.post({"phone": PHONE, "country": "XX"}, "/v1/erasures")
    assert (answer.status, api.world.erasures) == (202, 1)
    assert [(one["code"], one["field"]) for one in answer.json["warnings"]] == [("country_unusable", "country")]
    assert "warnings" not in (await api.post({"phone": "(425) 555-1234", "country": "USA "}, "/v1/erasures")).json


async def test_phone_without_a_country_names_the_field_of_an_erasure(api: Api) -> None:
    (error,) = (await api.post({"phone": "0171 5551234"}, "/v1/erasures")).json["errors"]
    assert "write +1..., give country, or set matching.default_country" in error["message"]
    assert "user.country" not in error["message"]


async def test_unknown_erasure_and_web_pages_are_refused(api: Api) -> None:
    for id_ in ("erasure_1", "erasure_x", "conv_1", "1"):
        answer = await api.get(f"/v1/erasures/{id_}")
        assert (answer.status, answer.json["type"]) == (404, "urn:sidecar:problem:no_such_erasure")
    assert (await api.post(b"email=a", "/v1/erasures", headers={"Content-Type": "text/plain"})).status == 415
    assert (await api.post({"email": EMAIL}, "/v1/erasures", headers={"Origin": "https://evil.example"})).status == 403
    with pytest.raises(HttpProblem):
        read_wanted(b"{", None)


@pytest.mark.parametrize(
    ("phase", "waiting", "state"),
    [
        (Phase.ROWS, 0, "running"),
        (Phase.ROWS, 1, "running"),
        (Phase.WAITING, 1, "waiting"),
        (Phase.WAITING, 0, "running"),
        (Phase.JOURNAL, 0, "running"),
        (Phase.VACUUMING, 0, "running"),
        (Phase.DONE, 0, "done"),
    ],
)
def test_state_is_one_of_three_words(phase: Phase, waiting: int, state: str) -> None:
    job = Erasure(
        id=3,
        subject=Subject.ORDER,
        search_value=None,
        retract=False,
        phase=phase,
        after_seq=0,
        last_seq=9,
        waiting=waiting,
        requested_at=NOW,
        finished_at=UnixMillis(NOW + 1_500) if phase is Phase.DONE else None,
    )
    told = show(job)
    assert (told["id"], told["state"], told["by"]) == ("erasure_3", state, "order")
    assert (told["finished_at"] is None) == (phase is not Phase.DONE)


async def test_erased_row_is_shown_without_the_person(api: Api, conversion: dict[str, Any]) -> None:
    await api.post({**conversion, "visitor_id": "v-1", "user": {"email": EMAIL}, "meta": {"cart": 7}})
    erasures = api.store.erasures
    job = await erasures.add(ErasureRequest(Subject.ORDER, "ORDER-1"), NOW)
    await erasures.redact(job, await erasures.find(job), (), NOW)
    row = (await api.get("/v1/conversions/conv_1")).json
    assert (row["state"], row["reason"], row["value"], row["matched_by"]) == ("skipped", "erased", 99.99, [])
    assert [row[name] for name in ("order_id", "msclkid", "visitor_id", "meta")] == [None] * 4
    [told] = (await api.get("/v1/orders/ORDER-1/explain")).json["items"]
    assert (told["order_id"], told["received"]["request_id"]) == (None, None)
    assert [line["what"] for line in told["timeline"]][-2:] == [
        "Everything that identifies the person was erased from it.",
        "Ended as skipped (erased).",
    ]
    again = await api.post({**conversion, "value": 5})
    assert (again.status, again.json["id"], again.json["state"]) == (200, "conv_1", "skipped")
