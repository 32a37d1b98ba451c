"""The keys by which Microsoft recognises the same row.

https://learn.microsoft.com/advertising/campaign-management-service/offlineconversionunattributedreason
"""

import hashlib

from sidecar.emulator.row_fields import Adjustment, Conversion


def repeat_key(account_id: str, row: Conversion) -> str:
    """The key by which a repeat is ignored: click id, else the hashes, with name and time."""
    if row.click_id:
        return _digest(account_id, "click", row.click_id, row.name, _ticks(row))
    return _digest(account_id, "hashes", row.email, row.phone, row.name, _ticks(row))


def original_key(account_id: str, row: Conversion) -> str:
    """The key by which an adjustment finds its conversion: all five fields."""
    return _digest(account_id, row.click_id, row.email, row.phone, row.name, _ticks(row))


def adjustment_key(account_id: str, row: Adjustment) -> str:
    """The key of one adjustment of one conversion at one time, without its values."""
    ticks = row.time.ticks if row.time else 0
    return _digest(original_key(account_id, row.original), row.type, str(ticks))


def _ticks(row: Conversion) -> str:
    return str(row.time.ticks if row.time else 0)


def _digest(*parts: str | None) -> str:
    joined = "".join(f"{len(part)}:{part}" for part in (part or "" for part in parts))
    return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()
