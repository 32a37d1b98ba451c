"""What a user would write instead: Microsoft's SDK, called synchronously. `python -m bench.sdk URL CA_FILE ROWS BATCH`.

Hashes with hashlib, stores nothing, and has no answer for what is refused or lost. Prints a line of JSON.
"""

import hashlib
import json
import ssl
import sys
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from typing import Any

from openapi_client.api.campaign_management_service_api import CampaignManagementServiceApi
from openapi_client.api_client import ApiClient
from openapi_client.configuration import Configuration
from openapi_client.models.campaign.apply_offline_conversions_request import ApplyOfflineConversionsRequest
from openapi_client.models.campaign.offline_conversion import OfflineConversion

from bench.bodies import Bodies
from bench.processes import GOAL
from sidecar.emulator import ACCOUNT_ID, CUSTOMER_ID, SEED_REFRESH_TOKEN

SCOPE = "https://ads.microsoft.com/msads.manage offline_access"


def access_token(url: str, ca_file: str) -> str:
    """The emulator's, for its well-known refresh token."""
    form = {"client_id": "test-app", "grant_type": "refresh_token", "refresh_token": SEED_REFRESH_TOKEN, "scope": SCOPE}
    request = urllib.request.Request(f"{url}/common/oauth2/v2.0/token", urllib.parse.urlencode(form).encode())
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=ca_file)) as answer:
        token: str = json.loads(answer.read())["access_token"]
        return token


def api(url: str, ca_file: str) -> CampaignManagementServiceApi:
    """The SDK's service, pointed at the emulator."""
    client = ApiClient(Configuration(host=url, ssl_ca_cert=ca_file))
    headers = {
        "Authorization": f"Bearer {access_token(url, ca_file)}",
        "DeveloperToken": "test-developer-token",
        "CustomerId": CUSTOMER_ID,
        "CustomerAccountId": ACCOUNT_ID,
    }
    for name, value in headers.items():
        client.set_default_header(name, value)
    return CampaignManagementServiceApi(client)


def conversion(order: dict[str, Any]) -> OfflineConversion:
    """An order as the SDK wants it."""
    digits = "".join(letter for letter in order["user"]["phone"] if letter.isdigit())
    name, _, domain = order["user"]["email"].strip().lower().partition("@")
    email = f"{name.partition('+')[0].replace('.', '')}@{domain}"
    return OfflineConversion(
        MicrosoftClickId=order["msclkid"],
        ConversionName=GOAL,
        ConversionTime=datetime.fromtimestamp(order["time"], UTC),
        ConversionValue=order["value"],
        ConversionCurrencyCode=order["currency"],
        HashedEmailAddress=hashlib.sha256(email.encode()).hexdigest(),
        HashedPhoneNumber=hashlib.sha256(f"+{digits}".encode()).hexdigest(),
    )


def main() -> None:
    url, ca_file, rows, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    service = api(url, ca_file)
    bodies = Bodies(batch)
    service.apply_offline_conversions(_request(bodies))
    used, began = time.process_time(), time.perf_counter()
    for _ in range(rows // batch):
        answer = service.apply_offline_conversions(_request(bodies))
        assert not answer.partial_errors, answer
    took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
    print(json.dumps({"rows": rows // batch * batch, **took}))


def _request(bodies: Bodies) -> ApplyOfflineConversionsRequest:
    orders = json.loads(bodies.next())
    return ApplyOfflineConversionsRequest(OfflineConversions=[conversion(order) for order in orders])


if __name__ == "__main__":
    main()
