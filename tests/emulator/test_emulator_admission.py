"""Who may call, and how often: headers, tokens, accounts, pace."""

import pytest
from emulator_kit import HOUR, Client, Serve, StillClock, conversion

# --- Headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status", "symbol"),
    [
        ({"Authorization": None}, 401, "InvalidCredentials"),
        ({"Authorization": "Bearer test-unknown"}, 401, "InvalidCredentials"),
        ({"CustomerId": None}, 400, "CampaignServiceCustomerIdHasToBeSpecified"),
        ({"CustomerId": "None"}, 400, "CampaignServiceInvalidCustomerId"),
        ({"CustomerAccountId": None}, 400, "CampaignServiceAccountIdMissingInRequestHeader"),
        ({"CustomerAccountId": "X1234567"}, 400, "CampaignServiceInvalidAccountId"),
        ({"CustomerAccountId": "0"}, 400, "CampaignServiceInvalidAccountId"),
    ],
)
async def test_request_with_wrong_headers_is_refused_whole(
    client: Client, headers: dict[str, str | None], status: int, symbol: str
) -> None:
    reply = await client.apply(conversion(1), **headers)
    assert (reply.status, reply.fault) == (status, symbol)
    assert await client.stored() == []


async def test_bearer_is_mandatory(client: Client) -> None:
    token = client.headers["Authorization"].removeprefix("Bearer ")
    assert (await client.apply(conversion(1), Authorization=token)).fault == "InvalidCredentials"
    soap = await client.apply(conversion(1), Authorization=None, AuthenticationToken=token)
    assert soap.fault == "InvalidCredentials"


async def test_refusal_for_credentials_has_the_shape_with_detail_in_the_singular(client: Client) -> None:
    reply = await client.apply(conversion(1), Authorization=None)
    body = reply.json()
    assert body.keys() == {"TrackingId", "Type", "Errors"}
    assert (body["Type"], body["TrackingId"]) == ("AdApiFaultDetail", reply.headers["TrackingId"])
    assert body["Errors"][0].keys() == {"Code", "Detail", "ErrorCode", "Message"}
    assert body["Errors"][0]["Code"] == 105


async def test_token_is_refused_once_its_hour_is_over(client: Client, clock: StillClock) -> None:
    clock.now += HOUR - 1
    assert (await client.apply(conversion(1))).status == 200
    clock.now += 1
    reply = await client.apply(conversion(2))
    assert (reply.status, reply.json()["Errors"][0]["Code"]) == (401, 109)


async def test_token_with_an_old_scope_is_refused(client: Client) -> None:
    """`ads.manage` and `bingads.manage` are no longer accepted: 3101."""
    await client.sign_in("https://ads.microsoft.com/ads.manage")
    assert (await client.apply(conversion(1))).fault == "OAuthTokenInvalid"


async def test_developer_token_must_be_the_configured_one(serve: Serve) -> None:
    async with serve(developer_token="test-developer-token") as client:
        assert (await client.apply(conversion(1))).fault == "InvalidCredentials"
        assert (await client.apply(conversion(1), DeveloperToken="test-other")).fault == "InvalidCredentials"
        assert (await client.apply(conversion(1), DeveloperToken="test-developer-token")).status == 200


async def test_only_configured_accounts_are_known(serve: Serve) -> None:
    """Account and customer id swapped is answered 105, as users report."""
    async with serve(accounts=(("11", "21"), ("12", "22"))) as client:
        assert (await client.apply(conversion(1), CustomerId="12", CustomerAccountId="22")).status == 200
        swapped = await client.apply(conversion(1), CustomerId="22", CustomerAccountId="12")
        assert swapped.fault == "InvalidCredentials"
        foreign = await client.apply(conversion(1), CustomerId="11", CustomerAccountId="22")
        assert (foreign.status, foreign.fault) == (403, "UserIsNotAuthorized")
        unknown = await client.apply(conversion(1), CustomerId="11", CustomerAccountId="99")
        assert unknown.fault == "CampaignServiceInvalidAccountId"


# --- Pace -------------------------------------------------------------------------------------------------------------


async def test_calls_of_a_customer_are_limited_in_any_sixty_seconds(serve: Serve, clock: StillClock) -> None:
    """Calls per customer in a sliding 60-second window; beyond it 117."""
    async with serve(requests_per_minute=3) as client:
        for _ in range(3):
            clock.now += 1_000
            assert (await client.apply(conversion(1))).status == 200
        reply = await client.apply(conversion(1))
        assert (reply.status, reply.json()["Errors"][0]["Code"]) == (429, 117)
        assert (await client.apply(conversion(1), CustomerId="100000002")).status == 200
        assert (await client.apply(conversion(1), CustomerAccountId="200000009")).fault == "CallRateExceeded"
        clock.now += 57_999
        assert (await client.apply(conversion(1))).status == 429
        clock.now += 1
        assert (await client.apply(conversion(1))).status == 200
        assert (await client.apply(conversion(1))).status == 429
