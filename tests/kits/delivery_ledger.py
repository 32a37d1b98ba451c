"""A row of the outbox and an entry of the emulator's ledger in one form, so that the two books can be compared."""

import json
from typing import Any

from sidecar.core.instant import text_of_seconds

ACCOUNT_IDS = {"main": "200000001", "twin": "200000002", "other": "200000009"}


def expected_entry(row: dict[str, Any]) -> str:
    """A row of ours as Microsoft should have it."""
    sent = {
        "ConversionName": row["goal"],
        "ConversionTime": text_of_seconds(row["sent_time"]),
        "MicrosoftClickId": (row["msclkid"] if row["click"] is None else row["click"]) or None,
        "HashedEmailAddress": row["email_sha256"],
        "HashedPhoneNumber": row["phone_sha256"],
        "ConversionValue": row["value"],
        "ConversionCurrencyCode": row["currency"],
    }
    named = {name: value for name, value in sent.items() if value is not None}
    return json.dumps([ACCOUNT_IDS[row["account"]], named], sort_keys=True)


def adjusted_by(row: dict[str, Any]) -> str:
    """An adjustment of ours as Microsoft should have it, byte for byte."""
    sent = [
        ("AdjustmentType", row["type"].capitalize()),
        ("AdjustmentTime", text_of_seconds(row["adjusted_at"])),
        ("AdjustmentValue", row["value"]),
        ("AdjustmentCurrencyCode", row["currency"]),
        ("ConversionName", row["goal"]),
        ("ConversionTime", text_of_seconds(row["sent_time"])),
        ("MicrosoftClickId", row["click"] or None),
        ("HashedEmailAddress", row["email_sha256"]),
        ("HashedPhoneNumber", row["phone_sha256"]),
    ]
    numbers = {"AdjustmentValue"}
    members = (f'"{name}":' + (text if name in numbers else f'"{text}"') for name, text in sent if text is not None)
    return "{" + ",".join(members) + "}"


def ledger_entry(item: dict[str, Any]) -> str:
    """What Microsoft has, its numbers digit for digit."""
    row = json.loads(item["raw"], parse_float=str, parse_int=str)
    return json.dumps([item["account_id"], row], sort_keys=True)
