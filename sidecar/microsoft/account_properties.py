"""Encodes and decodes the query for account properties: only whether auto-tagging is on. Never raises, like `wire`.

https://learn.microsoft.com/advertising/campaign-management-service/getaccountproperties
"""

import json

from sidecar.core.answer import Lost, RefusedBatch
from sidecar.microsoft.reply import HttpReply
from sidecar.microsoft.wire import refusal, refusal_in

QUERY = "/CampaignManagement/v13/AccountProperties/Query"

AUTO_TAGGING = "MSCLKIDAutoTaggingEnabled"
"""Whether Microsoft adds `msclkid` to landing addresses: without it no click id reaches the site."""


def encode_query() -> bytes:
    """The request for that one property."""
    return json.dumps({"AccountPropertyNames": [AUTO_TAGGING]}).encode("ascii")


def decode_auto_tagging(reply: HttpReply) -> bool | RefusedBatch | Lost | None:
    """Whether auto-tagging is on; None where the answer leaves it out. The value is a text in any case."""
    if (refused := refusal(reply)) is not None:
        return refused
    listed = (reply.document or {}).get("AccountProperties", "")
    if not listed and (errors := reply.errors("PartialErrors")):
        return refusal_in(reply, errors)
    if not isinstance(listed, list | None):
        return Lost(f"HTTP {reply.status} without a list of properties", reply.tracking_id)
    for item in listed or ():
        if isinstance(item, dict) and item.get("Name") == AUTO_TAGGING:
            return {"true": True, "false": False}.get(str(item.get("Value")).strip().lower())
    return None
