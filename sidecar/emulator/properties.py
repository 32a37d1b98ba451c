"""GetAccountProperties and SetAccountProperties: named settings of an account, as text.

https://learn.microsoft.com/advertising/campaign-management-service/accountproperty
"""

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.admission import SlidingMinute, admit_caller
from sidecar.emulator.call import Answer, Call, answer_json
from sidecar.emulator.error_bodies import FaultShape, Refused
from sidecar.emulator.json_rows import read_object
from sidecar.emulator.options import EmulatorOptions
from sidecar.emulator.row_fields import read_list, read_text

AUTO_TAGGING = "MSCLKIDAutoTaggingEnabled"

_DEFAULTS: dict[str, str | None] = {
    AUTO_TAGGING: "true",
    "AdClickParallelTracking": "true",
    "FinalUrlSuffix": None,
    "IncludeViewThroughConversions": "false",
    "ProfileExpansionEnabled": "false",
    "TrackingUrlTemplate": None,
}
_FLAGS = tuple(name for name, value in _DEFAULTS.items() if value is not None)


@dataclass(frozen=True, slots=True)
class Properties:
    """The two calls for account properties."""

    options: EmulatorOptions
    pace: SlidingMinute

    def query(self, db: Connection, call: Call) -> Answer:
        """`POST AccountProperties/Query`."""
        caller = admit_caller(db, call, self.options, self.pace)
        names = _known(read_list(read_object(call.body), "AccountPropertyNames"))
        values = _DEFAULTS | dict(
            db.execute("SELECT name, value FROM properties WHERE account_id = ?", (caller.account_id,)).fetchall()
        )
        found = [{"Name": name, "Value": values[name]} for name in names]
        return answer_json({"AccountProperties": found, "PartialErrors": []})

    def put(self, db: Connection, call: Call) -> Answer:
        """`POST AccountProperties/Set`: all of them or none."""
        caller = admit_caller(db, call, self.options, self.pace)
        given = [_pair(item) for item in read_list(read_object(call.body), "AccountProperties") or []]
        _known([name for name, _ in given])
        for name, value in given:
            put_property(db, caller.account_id, name, value)
        return answer_json({})


def put_property(db: Connection, account_id: str, name: str, value: str) -> None:
    """Sets a property of an account."""
    db.execute("INSERT OR REPLACE INTO properties VALUES (?, ?, ?)", (account_id, name, value))


def _known(names: list[Any] | None) -> list[str]:
    if not names:
        raise Refused("NullArrayArgument", FaultShape.API)
    unknown = [name for name in names if name not in _DEFAULTS]
    if unknown:
        raise Refused("ApiInputValidationError", detail=f"unknown account property {unknown[0]!r}")
    return names


def _pair(item: object) -> tuple[str, str]:
    if not isinstance(item, dict):
        raise Refused("ApiInputValidationError", detail="an account property is not an object")
    name, value = read_text(item, "Name") or "", read_text(item, "Value") or ""
    if name in _FLAGS and value.lower() not in ("true", "false"):
        raise Refused("ApiInputValidationError", FaultShape.API, f"{name} must be true or false")
    return name, value
