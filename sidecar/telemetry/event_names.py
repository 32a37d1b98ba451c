"""The names of everything that is logged, each declared once: its level, whether it is stored, and what it means.

`docs/operating.md` prints this table, and a test compares them.
"""

from dataclasses import dataclass

DEBUG, INFO, WARNING, ERROR = "debug", "info", "warning", "error"

LEVELS = {DEBUG: 10, INFO: 20, WARNING: 30, ERROR: 40}
"""Every level, the lowest first, with its number in the journal."""


@dataclass(frozen=True, slots=True)
class Name:
    """One kind of fact. `stored` says whether the journal gets it; the log line goes to stdout in any case."""

    name: str
    level: str
    stored: bool
    meaning: str


RECEIVED = Name("received", DEBUG, False, "Conversions are on disk; the rows themselves tell the rest.")
ADJUSTED = Name("adjusted", DEBUG, False, "An adjustment is on disk; the row itself tells the rest.")
CAPTURED = Name("captured", DEBUG, False, "Clicks of visitors are on disk.")
SKIPPED = Name("skipped", INFO, True, "Conversions that were not stored, by rule; gathered per reason and 10 s.")
REFUSED = Name(
    "refused", WARNING, True, "Items, or requests with items, that were refused; per code and 10 s, with some orders."
)
CALL_REFUSED = Name(
    "call_refused", INFO, True, "Other calls that were refused: nothing was lost; gathered per code and 10 s."
)
LOOKUP_MISSED = Name("lookup_missed", DEBUG, False, "Look-ups of what is not there; gathered per code and 10 s.")
BATCH_SENT = Name("batch_sent", DEBUG, False, "A batch is on its way to Microsoft.")
BATCH_SETTLED = Name("batch_settled", INFO, True, "Microsoft answered a batch, and its rows are written down.")
BATCH_REFUSED = Name("batch_refused", WARNING, True, "Microsoft refused a batch as a whole.")
BATCH_LOST = Name("batch_lost", WARNING, True, "No readable answer to a batch; the same bytes go again.")
BATCH_HALVED = Name("batch_halved", INFO, True, "A refused batch was cut in two, to find the row that spoils it.")
ROW_DIED = Name("row_died", WARNING, True, "A conversion ended undelivered; beyond 20 of a batch only their count.")
REPLAYED = Name("replayed", INFO, True, "An operator made dead or skipped conversions due again.")
DISCARDED = Name("discarded", INFO, True, "An operator ended a conversion that was not sent.")
ERASED = Name("erased", INFO, True, "A person's data was erased, because someone asked for it.")
TROUBLE_RAISED = Name("trouble_raised", ERROR, True, "A trouble began; `warning` where it passes, or holds nothing up.")
TROUBLE_CLEARED = Name("trouble_cleared", INFO, True, "A trouble is over.")
ALERT_POSTED = Name(
    "alert_posted", INFO, False, "A message went to the alerts' webhook; `error` where it was not taken."
)
THROTTLED = Name("throttled", INFO, False, "Microsoft asked for a slower pace.")
SIGNED_IN = Name("signed_in", INFO, True, "Someone connected the sidecar to Microsoft Advertising.")
SIGNED_OUT = Name("signed_out", INFO, True, "Someone disconnected the sidecar from Microsoft Advertising.")
SIGN_IN_FAILED = Name("sign_in_failed", ERROR, True, "A sign-in did not succeed.")
TOKEN_REFRESHED = Name("token_refreshed", INFO, False, "There is a new access token.")
GOALS_READ = Name("goals_read", DEBUG, False, "The goals of an account were read.")
REPORT_READ = Name("report_read", DEBUG, False, "Microsoft's verdict on an account's rows was read.")
REPORT_ODD = Name("report_odd", WARNING, True, "A part of Microsoft's verdict could not be used; the rest counts.")
REPORT_RECOUNTED = Name("report_recounted", INFO, True, "Microsoft counts fewer rows of some days than it did before.")
GOAL_CREATED = Name("goal_created", INFO, True, "A goal was created, because someone asked for it.")
STARTED = Name("started", INFO, True, "The sidecar serves.")
STOPPING = Name("stopping", INFO, True, "The sidecar takes no more conversions and finishes what is in hand.")
STOPPED = Name("stopped", INFO, True, "The sidecar has finished.")
RELOADED = Name("reloaded", INFO, True, "The configuration was read again and is in force.")
RELOAD_FAILED = Name("reload_failed", ERROR, True, "The configuration could not be read again; the old one stays.")
CONFIGURATION_DOUBTED = Name(
    "configuration_doubted", WARNING, True, "Something in the configuration is probably a mistake; it is in force."
)
LOOP_FAILED = Name("loop_failed", ERROR, True, "Something unexpected happened; the loop goes on.")
JOURNAL_DROPPED = Name("journal_dropped", WARNING, True, "Facts that storage did not take.")
TRACES_DROPPED = Name("traces_dropped", WARNING, True, "Traces of unstored orders that found no room; gathered.")
LINES_DROPPED = Name("lines_dropped", WARNING, False, "Log lines that were not read from stdout in time.")
LIBRARY = Name("library", WARNING, False, "A warning or error of a library, its secrets masked.")
TELEMETRY_FAILED = Name("telemetry_failed", ERROR, False, "A fact could not be recorded; the work itself went on.")

NAMES = {name.name: name for name in tuple(globals().values()) if isinstance(name, Name)}
"""Every name that can occur in a log line or in /logs."""
