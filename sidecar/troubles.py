"""The catalogue of troubles: what each one is called, its cause, its remedy, and how the service treats it.

`/logs`, `/healthz`, rows, the command line and the documentation take their texts from here, so that they agree. A new
trouble is one entry here, and one call where its cause is found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, Flag, StrEnum, auto
from functools import partial

from sidecar.core.conversion import Kind
from sidecar.core.doctor.check import Area
from sidecar.core.states_and_reasons import Reason


class HealthCheck(StrEnum):
    """The checks of `/healthz`, in their order."""

    STORAGE = "storage"
    TOKEN = "token"  # noqa: S105 - the name of a check
    DELIVERY = "delivery"
    GOALS = "goals"
    CLOCK = "clock"
    DISK = "disk"


class Severity(Enum):
    """How loud a trouble is."""

    ERROR = auto()  # someone has to act; an error in the log, and its check is degraded
    WARNING = auto()  # it passes, holds nothing up, or is wanted; a warning in the log, and its check is degraded
    ADVICE = auto()  # worth a look; a warning in the log, and its check stays ok


class Scope(Enum):
    """What a trouble is about."""

    SERVICE = auto()  # the whole service
    INTAKE = auto()  # new conversions only: those that are stored already go out
    NETWORK = auto()  # the way to Microsoft, for the sign-in and the accounts alike
    ACCOUNT = auto()
    EVENT = auto()  # an event of an account; its name is the trouble's subject
    GOAL = auto()  # a goal of an account; its name is the trouble's subject
    ROW = auto()  # single rows, or what their answers have in common


class End(Flag):
    """What ends a trouble. One of a goal or an account ends with it, too, when that leaves the configuration."""

    TOKEN = auto()  # a new access token
    ANSWER = auto()  # a batch of the account that Microsoft read: until then nothing of the account is delivered
    CONNECTION = auto()  # any answer to a request of the account
    READING = auto()  # the next reading of the account's goals
    CONFIGURATION = auto()  # what left the configuration returns
    OPERATOR = auto()  # an operator ends it
    SUCCESS = auto()  # what failed succeeds, or its next check
    TIME = auto()  # it was not seen for an hour


class Symptom(Enum):
    """What several troubles explain. Only the newest explanation stands, since more is known by then."""

    ANSWER_105 = auto()
    NO_ANSWER = auto()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A cause with its remedy. `code` is what logs and metrics carry; the next three are for people."""

    code: str
    title: str
    cause: str
    solution: str
    check: HealthCheck
    """The health check that shows it; see `check_of`."""
    severity: Severity
    scope: Scope
    ends: End
    waits_for: str | None
    """What the rows in its scope wait for: the end of a sentence that begins with their number; None if none wait.

    `{subject}` and `{account}` are filled in.
    """
    area: Area = Area.DELIVERY
    """The check of `sidecar doctor` that explains it; the last one lists what no other check does."""
    explains: Reason | None = None
    """The reason of a row that it explains."""
    symptom: Symptom | None = None
    while_signing_in: str | None = None
    """The code to report in its place while a person signs in: its words are about a stored sign-in, or waiting."""

    def check_of(self, account: str | None) -> HealthCheck:
        """Return the health check that shows it: without an account it is the sign-in that has no way to Microsoft."""
        return HealthCheck.TOKEN if self.scope is Scope.NETWORK and account is None else self.check

    @property
    def stops_account(self) -> bool:
        """Whether nothing of an account is delivered while it has this trouble."""
        return bool(self.ends & (End.ANSWER | End.OPERATOR))


_sign_in = partial(
    Trouble,
    check=HealthCheck.TOKEN,
    severity=Severity.ERROR,
    scope=Scope.SERVICE,
    ends=End.TOKEN | End.ANSWER,
    area=Area.TOKEN,
)
_network = partial(
    Trouble,
    check=HealthCheck.DELIVERY,
    severity=Severity.ERROR,
    scope=Scope.NETWORK,
    ends=End.CONNECTION | End.ANSWER,
    symptom=Symptom.NO_ANSWER,
    area=Area.CONNECTION,
)
_account = partial(Trouble, check=HealthCheck.DELIVERY, severity=Severity.ERROR, scope=Scope.ACCOUNT, ends=End.ANSWER)
_goal = partial(
    Trouble, check=HealthCheck.GOALS, severity=Severity.ERROR, scope=Scope.GOAL, ends=End.READING, area=Area.GOAL
)
_row = partial(
    Trouble, check=HealthCheck.DELIVERY, severity=Severity.ERROR, scope=Scope.ROW, ends=End.TIME, waits_for=None
)
_service = partial(Trouble, severity=Severity.ERROR, scope=Scope.SERVICE, ends=End.SUCCESS, waits_for=None)

_ALL = (
    _sign_in(
        "not_connected",
        "Not connected to Microsoft Advertising",
        "No one has signed in yet, or the stored sign-in could not be read.",
        "Open /connect in a browser on this machine, or run `sidecar connect`. Conversions are kept until then.",
        explains=Reason.NOT_CONNECTED,
        waits_for="there is no usable sign-in to Microsoft Advertising",
    ),
    _sign_in(
        "token_refresh_failed",
        "Token refresh failed",
        "Microsoft no longer accepts the stored sign-in: the password changed, access was revoked, an extra sign-in "
        "step is asked for, or it was unused for 90 days.",
        "Sign in again at /connect, or run `sidecar connect`. Delivery resumes by itself; no conversion is lost.",
        while_signing_in="sign_in_unsuccessful",
        waits_for="Microsoft no longer accepts the sign-in",
    ),
    _sign_in(
        "sign_in_blocked",
        "An administrator has to allow the sign-in",
        "A rule of the company's directory keeps the user or the application out; signing in again alone does not "
        "help.",
        "Show the AADSTS number to an administrator of the directory (docs/connect.md says what each one asks for). "
        "Then sign in again at /connect, or run `sidecar connect`. Conversions are kept until then.",
        waits_for="Microsoft does not let this sign-in in",
    ),
    _sign_in(
        "sign_in_unavailable",
        "Microsoft's sign-in service gives no token",
        "The token endpoint did not answer, or answered that it cannot give one now.",
        "Wait: it is tried again after a second, then with growing pauses of up to a minute. If it lasts and no answer "
        "came, check the network of this machine.",
        severity=Severity.WARNING,
        while_signing_in="sign_in_unsuccessful",
        waits_for="Microsoft's sign-in service gives no token",
    ),
    _sign_in(
        "sign_in_unsuccessful",
        "Sign-in did not succeed",
        "Microsoft did not accept the way back from its sign-in page, or could not be reached just then. A stored "
        "sign-in stays as it was.",
        "Start again at /connect, or run `sidecar connect`. If it happens again, its error says why.",
        waits_for=None,
    ),
    _sign_in(
        "client_secret_expired",
        "Client secret expired",
        "The Azure application's client secret has passed its end date.",
        "Create a new secret under Certificates & secrets of the application, set microsoft.client_secret to its "
        "value and restart. The sign-in itself stays valid.",
        waits_for="the client secret has expired",
    ),
    _sign_in(
        "client_secret_invalid",
        "Client secret invalid",
        "Microsoft does not accept microsoft.client_secret: often the secret's id was pasted instead of its value, or "
        "the application is of the other kind (public or confidential).",
        "Paste the secret's value (it is shown once, when it is created), or leave it empty for a public application; "
        "then restart.",
        waits_for="Microsoft does not accept the client secret",
    ),
    _sign_in(
        "app_registration",
        "Azure application misconfigured",
        "Microsoft does not know the application, it is disabled, or it does not allow this kind of sign-in.",
        "Check microsoft.client_id, microsoft.tenant and microsoft.redirect_uri against the application "
        "registration; docs/connect.md shows each field. What you change in the configuration needs a restart.",
        waits_for="the Azure application is misconfigured",
    ),
    _sign_in(
        "scope_missing",
        "Consent or scope missing",
        "The sign-in does not carry the permission msads.manage, or no one with the right to do so has consented.",
        "Sign in again at /connect and accept the permission. In a company tenant an administrator may have to grant "
        "it first (docs/connect.md).",
        waits_for="the sign-in lacks a permission",
        area=Area.SCOPE,
    ),
    _account(
        "developer_token_invalid",
        "Account ids, developer token or user refused",
        "Microsoft answered 105, which has several causes: the account's two ids are swapped; the developer token "
        "is wrong, not yet approved or of the other environment; or the signed-in user is unknown to Microsoft "
        "Advertising.",
        "Where nothing beside this says more, run `sidecar accounts`. If it lists accounts, the developer token is "
        "good: put the ids of the right one into accounts.<name>.customer_id and account_id, and reload with SIGHUP. "
        "If it does not, compare microsoft.developer_token with the one under Settings > Developer settings, and "
        "microsoft.environment with the one it was issued for; what you change there needs a restart. Last, sign in "
        "as another user at /connect.",
        symptom=Symptom.ANSWER_105,
        waits_for="Microsoft does not accept the developer token or the sign-in",
        area=Area.DEVELOPER_TOKEN,
    ),
    _account(
        "account_not_chosen",
        "No ad account is chosen",
        "The configuration has no ids for this account yet, so nothing can be sent for it.",
        "Run `sidecar accounts`, or open Set-up in the dashboard: once somebody has signed in, both list the accounts, "
        "and the lines to paste under accounts. Then reload with SIGHUP. Conversions are kept until then.",
        area=Area.ACCOUNT,
        ends=End.READING | End.ANSWER,
        waits_for="no ad account is chosen for {account}",
    ),
    _account(
        "wrong_account",
        "Wrong account or customer id",
        "Microsoft does not find the account under these ids: they are swapped, or the account number was used "
        "instead of its id. Microsoft may answer 105 to that as well, though the developer token is good.",
        "Run `sidecar accounts`: it lists the accounts that the signed-in user can reach, with the right ids. (In "
        "Microsoft Advertising's address bar `aid` is the account id and `cid` the customer id.) Put them into "
        "accounts.<name>.account_id and customer_id, and reload with SIGHUP.",
        symptom=Symptom.ANSWER_105,
        waits_for="Microsoft does not find the account under these ids",
        area=Area.ACCOUNT,
    ),
    _account(
        "not_authorized",
        "The signed-in user may not upload conversions",
        "The user's role or the user's access to this account is not enough, or Microsoft blocked the user.",
        "Give the user the role Standard or Super Admin for this account, or sign in as another user at /connect.",
        waits_for="the signed-in user may not upload conversions",
        area=Area.ROLE,
    ),
    _account(
        "account_inactive",
        "The ad account cannot take conversions",
        "The account is not active, or offline conversions are not enabled for it.",
        "Look at the account's status in Microsoft Advertising; its support enables offline conversions.",
        waits_for="the ad account cannot take conversions",
        area=Area.ACCOUNT,
    ),
    _account(
        "request_malformed",
        "Microsoft does not understand our requests",
        "Microsoft refused the request itself, not a row in it: a header or a field is not as its API wants it now.",
        "Check for a newer version of the sidecar, and report the error with its TrackingId. Rows are kept.",
        waits_for="Microsoft does not understand our requests",
    ),
    _goal(
        "goal_not_found",
        "Conversion goal not found",
        "Microsoft knows no offline conversion goal of that exact name in this account; upper and lower case count.",
        "Correct events.<event>.goal to the exact name and reload with SIGHUP, or create the goal: `sidecar goals "
        "plan` shows it, or why it cannot be created here, and `sidecar goals apply` does it. Rows of "
        "the goal wait, and go out by themselves once it is there.",
        explains=Reason.GOAL_NOT_FOUND,
        waits_for="Microsoft has no goal called {subject}",
    ),
    _goal(
        "goal_paused",
        "Conversion goal is paused",
        "The goal is there, but somebody has paused it; Microsoft would not count its conversions.",
        "Set the goal to active in Microsoft Advertising, or map the event to another goal. Rows of the goal wait, and "
        "go out by themselves within goals.refresh.",
        explains=Reason.GOAL_PAUSED,
        waits_for="the goal {subject} is paused",
    ),
    _goal(
        "goal_wrong_type",
        "Conversion goal is of another type",
        "A goal of that name exists, but it counts visits of a website or the like and takes no uploads.",
        "Give events.<event>.goal another name, create that goal with `sidecar goals apply`, and reload with SIGHUP. "
        "Names are unique per customer. Rows of the goal wait as goal_not_found.",
        waits_for="the goal {subject} takes no uploads",
    ),
    _goal(
        "goal_settling",
        "Conversion goal is too young",
        "Microsoft takes conversions for a goal only about two hours after it was created.",
        "Wait: rows of the goal are sent delivery.goal_settle after the goal was first seen. Where Microsoft itself "
        "says that it is too young, they are sent as soon as Microsoft takes them.",
        severity=Severity.WARNING,
        explains=Reason.GOAL_SETTLING,
        waits_for="the goal {subject} is too young",
    ),
    _goal(
        "goal_not_enhanced",
        "Conversion goal takes no hashes",
        "Enhanced conversions are off for the goal: it matches by click id only, and conversions that have nothing but "
        "an e-mail or phone are skipped.",
        "Turn enhanced conversions on for the goal in Microsoft Advertising, where their terms have to be accepted, "
        "then replay the skipped rows. If click ids are enough for you, say so with events.<event>.enhanced: false and "
        "reload with SIGHUP.",
        severity=Severity.WARNING,
        explains=Reason.GOAL_NOT_ENHANCED,
        waits_for=None,
        area=Area.ENHANCED,
    ),
    _goal(
        "goal_not_created",
        "Conversion goal could not be created",
        "Microsoft refused to create the goal; its own words are beside this.",
        "Correct what they name under events:, reload with SIGHUP, and run `sidecar goals apply` again. If it is about "
        "enhanced conversions: somebody has to accept their terms first, by turning them on for any goal in Microsoft "
        "Advertising; or set events.<event>.enhanced: false.",
        waits_for=None,
        area=Area.DELIVERY,
    ),
    _goal(
        "goal_name_taken",
        "Conversion goal of another account",
        "Names are unique per customer, and another account of the customer has a goal of that name for itself alone: "
        "this account can neither use it nor create one of that name.",
        "There are two ways out, since another account of the customer has it. A goal of its own for this account: "
        "give it another name with accounts.<account>.goals.<event>. Or one goal for all accounts of the customer: "
        "give events.<event>.goal a new name, and `sidecar goals apply` creates it with scope Customer; the scope of a "
        "goal cannot be changed later. Then reload with SIGHUP. Rows of the goal wait as goal_not_found.",
        waits_for=None,
    ),
    _account(
        "auto_tagging_off",
        "Auto-tagging is off",
        "MSCLKIDAutoTaggingEnabled is off in the ad account, so Microsoft adds no msclkid to landing addresses, and no "
        "click id can reach your site.",
        "Turn on auto-tagging of the Microsoft click id in Microsoft Advertising (Settings > Account level options). "
        "It holds no row up.",
        check=HealthCheck.GOALS,
        severity=Severity.WARNING,
        ends=End.READING,
        waits_for=None,
        area=Area.AUTO_TAGGING,
    ),
    _account(
        "report_unreadable",
        "Microsoft's verdict cannot be read",
        "The report of what Microsoft attributed was refused, had no answer, or lacks a goal. Delivery goes on; "
        "GET /v1/verdicts shows what was read before.",
        "Nothing to do if it passes: it is tried again after 5 minutes, and then at growing intervals. If it lasts, "
        "act on Microsoft's words beside this: the signed-in user needs the right to see conversions.",
        check=HealthCheck.GOALS,
        severity=Severity.ADVICE,
        ends=End.SUCCESS,
        waits_for=None,
        area=Area.DELIVERY,
    ),
    _goal(
        "low_match_rate",
        "Low match rate",
        "Fewer than one in five of a goal's recent conversions carry a click id or a usable e-mail or phone; the "
        "others cannot be attributed to an ad.",
        "Send user.email and user.phone with every conversion, and keep the click id: forward landing hits to POST "
        "/v1/clicks or include /msclkid.js (docs/clients.md). See whether redirects drop msclkid, and try values with "
        "`sidecar hash`.",
        severity=Severity.ADVICE,
        ends=End.SUCCESS,
        waits_for=None,
        area=Area.DELIVERY,
    ),
    _account(
        "account_paused",
        "Delivery for the account is paused",
        "Microsoft refused the account's requests for a reason that is not the row's.",
        "GET /healthz names the trouble and its remedy. The account is tried again every 15 minutes.",
        explains=Reason.ACCOUNT_PAUSED,
        waits_for="delivery for the account is paused",
    ),
    _account(
        "paused_by_operator",
        "Account paused by an operator",
        "Somebody paused the account with `sidecar pause` or POST /v1/accounts/<name>/pause. Conversions are taken and "
        "kept; nothing is sent.",
        "Resume it with `sidecar resume <name>`, or POST /v1/accounts/<name>/resume: delivery goes on at once.",
        severity=Severity.WARNING,
        ends=End.OPERATOR,
        waits_for="an operator paused the account {account}",
    ),
    Trouble(
        "unmapped",
        "Event or account no longer configured",
        "The row's event or account left the configuration after it was received.",
        "Put it back under events or accounts and reload with SIGHUP: the row then goes out.",
        check=HealthCheck.DELIVERY,
        severity=Severity.ERROR,
        scope=Scope.EVENT,
        ends=End.CONFIGURATION,
        explains=Reason.UNMAPPED,
        waits_for="the event {subject} is not configured any more",
    ),
    _account(
        "throttled",
        "Throttled by Microsoft",
        "Microsoft limits the calls a minute of a user and of a customer, and publishes no number: these were too "
        "many. All accounts of the customer wait.",
        "Nothing to do: delivery pauses and comes back slower. If it returns often, lower "
        "delivery.requests_per_minute and reload with SIGHUP, most of all where several accounts belong to one "
        "customer. Also see what else uses the same credentials.",
        severity=Severity.WARNING,
        explains=Reason.THROTTLED,
        waits_for="Microsoft asked for a slower pace",
    ),
    _account(
        "unreachable",
        "Microsoft Advertising gives no usable answer",
        "Requests fail before an answer, or are answered by an error of Microsoft's servers.",
        "Nothing to do if it passes: rows are kept and sent again. If it lasts, check whether this machine may reach "
        "*.api.bingads.microsoft.com on port 443, directly or through a proxy (HTTPS_PROXY).",
        severity=Severity.WARNING,
        symptom=Symptom.NO_ANSWER,
        waits_for="Microsoft Advertising gives no usable answer",
        area=Area.CONNECTION,
    ),
    _network(
        "name_not_found",
        "Microsoft's host name was not found (DNS)",
        "The name server of this machine, or of its container, does not know the host, or cannot be reached.",
        "Check DNS where the sidecar runs (/etc/resolv.conf; `--dns` of a container) and the names under "
        "microsoft.endpoints. Where the way out leads through a proxy, set HTTPS_PROXY and restart: the proxy then "
        "looks the names up.",
        severity=Severity.WARNING,
        waits_for="the name of Microsoft's server is not found",
    ),
    _network(
        "tls_failed",
        "No trusted connection to Microsoft (TLS)",
        "The certificate is not signed by a root that this machine trusts, is for another name or is out of date. Or "
        "the TLS handshake failed: mostly a firewall or proxy that opens TLS, or a wrong clock.",
        "Put the root certificate of that firewall or proxy into a PEM file, name it in microsoft.ca_bundle and "
        "restart; or let Microsoft's hosts pass it unopened. If the certificate is out of date, look at this machine's "
        "clock. What OpenSSL said stands beside this.",
        waits_for="there is no trusted connection to Microsoft",
    ),
    _network(
        "proxy_unusable",
        "The proxy does not lead to Microsoft",
        "The proxy that HTTPS_PROXY or ALL_PROXY names cannot be reached, does not speak HTTP, or refuses to connect "
        "to Microsoft's hosts.",
        "Check the variable's host and port, and have the proxy allow CONNECT to login.microsoftonline.com:443 and "
        "*.api.bingads.microsoft.com:443. Where no proxy is needed, remove the variable or name the hosts in NO_PROXY. "
        "A changed environment needs a restart.",
        waits_for="the proxy cannot be used",
    ),
    _network(
        "proxy_login",
        "The proxy wants another user or password",
        "The proxy that HTTPS_PROXY or ALL_PROXY names answered 407: user and password are missing there, or wrong.",
        "Put them into the variable, as in http://user:password@host:port (% and : / ? # @ in them as %25, %3A, %2F, "
        "%3F, %23, %40), and restart. A proxy that takes no Basic credentials needs a rule for this machine.",
        waits_for="the proxy asks for a login",
    ),
    _row(
        "conversion_too_old",
        "Conversion too old",
        "Microsoft takes conversions for 90 days after they happened; these could not be sent in time.",
        "They can no longer be counted. Look at what held them up: /healthz names the first expiry ahead of time.",
        explains=Reason.TOO_OLD,
    ),
    _row(
        "awaiting_click",
        "Waiting for the visitor's click",
        "No ad click of the conversion's visitor has come in yet that happened before it.",
        "Send the click to POST /v1/clicks with the same visitor_id: the row goes out at once. After clicks.wait it "
        "goes out on its hashes where the goal is enhanced, else it ends as no_click.",
        explains=Reason.AWAITING_CLICK,
    ),
    _row(
        "click_settling",
        "Waiting until the click is an hour old",
        "Microsoft advises to upload a conversion an hour after its click at the earliest, so that the click is found.",
        "Nothing to do: the row goes out when its time has come (due_at). delivery.click_settle sets how long.",
        explains=Reason.CLICK_SETTLING,
    ),
    _row(
        "no_click",
        "No click for the conversion",
        "No ad click of the visitor came in within clicks.wait, and the conversion has no hashes that its goal "
        "matches by.",
        "If the visitor did click an ad, send the click to POST /v1/clicks with the same visitor_id: the row is "
        "revived. For visitors who come without a click nothing is wrong. See docs/attribution.md.",
        explains=Reason.NO_CLICK,
    ),
    _row(
        "outside_window",
        "Click outside the goal's window",
        "The visitor's last click before the conversion is older than the goal's conversion window, so Microsoft "
        "would not count it.",
        "Widen the goal's conversion window in Microsoft Advertising (up to 90 days) if such conversions should "
        "count, then replay the rows.",
        explains=Reason.OUTSIDE_WINDOW,
    ),
    _row(
        "awaiting_original",
        "Waiting for the conversion it adjusts",
        "The conversion is on its way, or no answer says yet whether Microsoft took it; or an earlier adjustment of it "
        "is on its way.",
        "Nothing to do: the adjustment goes out by itself once that is known. What the conversion waits for stands in "
        "its own row, by conversion_id.",
        explains=Reason.AWAITING_ORIGINAL,
    ),
    _row(
        "original_not_sent",
        "Nothing at Microsoft to adjust",
        "The conversion was given up before Microsoft took it, so there is nothing to restate or retract.",
        "Nothing to do where the conversion shall not count. Where it shall, send it again with the right value, under "
        "another order id.",
        explains=Reason.ORIGINAL_NOT_SENT,
    ),
    _row(
        "row_refused",
        "Microsoft refused a conversion",
        "The conversion reached Microsoft and was refused for good; the row carries Microsoft's reason.",
        "Correct what the reason names and send the conversion again with the same order_id: other content replaces "
        "the dead row, the same content is answered with it. Where the cause was outside of it (a goal, the account), "
        "`sidecar replay` sends it again as it is.",
    ),
    _row(
        "click_id_refused",
        "Microsoft knows no such click id",
        "Microsoft refused the click id: it is cut off, belongs to another platform (a gclid is not an "
        "msclkid), or was never given out.",
        "See where the msclkid is taken from: it must be the msclkid parameter of the landing address, all 32 "
        "digits of it. Send the conversion again with the right one and the same order_id, or with the "
        "customer's e-mail or phone instead.",
    ),
    _row(
        "click_after_conversion",
        "The click came after the conversion",
        "By Microsoft's clock the ad click happened after the conversion it should have led to: mostly a time "
        "without its time zone, or a click id of a later visit.",
        "Send `time` with the right offset, or leave it out where the conversion happens now. Send the "
        "conversion again with the same order_id.",
    ),
    _row(
        "before_click",
        "The conversion lies before its own click",
        "The click that the conversion goes with was captured as later than the conversion itself. Most likely a time "
        "zone is wrong: a local time was sent as if it were UTC. Microsoft counts no conversion before its click.",
        "Look at the offset of `time` where the conversions are sent from, and at the clocks. One that was skipped is "
        "replaced when it comes again with the same order_id and the right time. One that was delivered keeps its "
        "time: take it back with a retract, and send it again with the right time under another order_id.",
    ),
    _row(
        "time_refused",
        "Microsoft refused the time",
        "Microsoft could not read the conversion's time.",
        "Check for a newer version of the sidecar and report the error with its TrackingId; then replay the row.",
    ),
    _row(
        "value_refused",
        "Microsoft refused the value",
        "Microsoft does not take the conversion's value: it is negative, too large or has too many decimals for it.",
        "Send the conversion again with a value that is right, in whole currency units, and the same order_id.",
    ),
    _row(
        "currency_refused",
        "Microsoft refused the currency",
        "Microsoft does not know the currency's code, or does not take it.",
        "Send the conversion again with a currency that Microsoft Advertising offers, or set "
        "events.<event>.currency, and use the same order_id.",
    ),
    _row(
        "external_attribution_refused",
        "Microsoft refused the external attribution",
        "The goal is not set up for external attribution, or credit and model are not as it wants them.",
        "Leave external_attribution out, or set the goal up for it in Microsoft Advertising; then send the "
        "conversion again with the same order_id.",
    ),
    _row(
        "adjustment_refused",
        "Microsoft refused an adjustment",
        "The adjustment reached Microsoft and was refused for good; the row carries Microsoft's reason. The conversion "
        "still counts as it did before.",
        "Correct what the reason names and send the adjustment again: a refused one is stored again.",
    ),
    _row(
        "erased",
        "Erased",
        "The person's data was erased at somebody's request: nothing is left that the conversion could be matched by.",
        "Nothing to do. Neither a replay nor the same order brings it back.",
        explains=Reason.ERASED,
    ),
    _row(
        "not_counted",
        "Uploaded but not counted",
        "Microsoft took the conversion; whether it counts is decided afterwards, when Microsoft looks for an "
        "ad click behind it. Reports show it 6 to 24 hours later, on the day of the click.",
        "Nothing to do on the first day. If it does not show after that, look at the goal's column All conv. "
        "by the day of the click, and at docs/not-counted.md, which lists why a delivered conversion may "
        "not count.",
    ),
    _row(
        "row_retried",
        "Microsoft asked for a conversion again",
        "Microsoft could not take the row at the moment, or gave a reason that this version does not know.",
        "Nothing to do: the row is tried again with growing pauses until it is 90 days old. If the reason is unknown, "
        "check for a newer version of the sidecar.",
        severity=Severity.WARNING,
        explains=Reason.RETRYING,
    ),
    _row(
        "poison",
        "A conversion makes Microsoft refuse whole requests",
        "A request was refused as a whole; it was halved until the offending row stood alone.",
        "Look at the row and its message. The other rows of the request were sent without it.",
        explains=Reason.POISON,
    ),
    _account(
        "batch_refused",
        "Most of a request was refused",
        "More than half of a batch would have to be given up: the cause is the configuration or a change at "
        "Microsoft, not single rows.",
        "Read the error in /logs. The rows wait and are tried again; none was given up.",
        waits_for="Microsoft refuses most of a request",
    ),
    _row(
        "clock_skew",
        "This machine's clock is off",
        "Microsoft says that conversion times lie in the future.",
        "Synchronise the clock (NTP). The rows are tried again.",
        check=HealthCheck.CLOCK,
    ),
    _service(
        "clock_jumped",
        "This machine's clock jumped",
        "The clock was set by more than a second, or was never set. The sidecar keeps its own time until an answer of "
        "Microsoft shows which is right; it follows a jump of at most a week ahead or a day back after a minute too.",
        "If the clock was set right, nothing: it is followed by itself. If not, synchronise it (NTP). While no time "
        "can be told, intake answers 503 and nothing is lost.",
        check=HealthCheck.CLOCK,
        area=Area.CLOCK,
    ),
    _service(
        "disk_nearly_full",
        "Disk nearly full",
        "Less than storage.min_free_disk is left where the outbox lies, or PostgreSQL's disk is full; intake answers "
        "503 so that nothing acknowledged can be lost.",
        "Free space on that disk: intake resumes by itself. Or move the outbox to a larger one, with storage.url; that "
        "needs a restart.",
        check=HealthCheck.DISK,
        scope=Scope.INTAKE,
        area=Area.DISK,
    ),
    _service(
        "outbox_growing",
        "Outbox full",
        "storage.max_pending rows are waiting; intake answers 503.",
        "Look at what holds delivery up (/healthz). Raise storage.max_pending if the disk allows it; that needs a "
        "restart.",
        check=HealthCheck.STORAGE,
        scope=Scope.INTAKE,
        area=Area.STORAGE,
    ),
    _service(
        "storage_failed",
        "The outbox cannot be written",
        "SQLite could not write to disk.",
        "Check the disk and the rights on the outbox file; the message names the error.",
        check=HealthCheck.STORAGE,
        area=Area.STORAGE,
    ),
    _service(
        "storage_unreachable",
        "The outbox's database cannot be used now",
        "PostgreSQL cannot be reached, or does not carry out what it is asked; intake answers 503. A restart of the "
        "server and the change to its standby look like this for seconds.",
        "The message names the error and what helps. Once the server answers, the sidecar goes on by itself within a "
        "second; nothing that was acknowledged is lost.",
        check=HealthCheck.STORAGE,
        area=Area.STORAGE,
    ),
    _service(
        "storage_broken",
        "The outbox can no longer be trusted",
        "The disk failed while the outbox was written, or something in the file is not as SQLite left it. The sidecar "
        "ended itself at once, so that nothing is acknowledged that may be lost.",
        "Look at the disk (`dmesg`, SMART, free space), then start the sidecar again: a sound file goes on where it "
        "was, a damaged one is refused with what to do. Send again everything that was answered 503 or not at all.",
        check=HealthCheck.STORAGE,
        area=Area.STORAGE,
    ),
    _service(
        "alerts_failing",
        "Alerts do not get out",
        "The address of alerts.webhook cannot be reached, or does not take the messages. It is tried again with "
        "growing pauses of up to five minutes. What changed meanwhile becomes one message for each trouble.",
        "Look at what was answered, run `sidecar alerts test`, and correct alerts.webhook or alerts.format; that needs "
        "a restart. A proxy (HTTPS_PROXY) and microsoft.ca_bundle apply here too. Conversions are not affected.",
        check=HealthCheck.DELIVERY,
        severity=Severity.WARNING,
    ),
    _service(
        "loop_failed",
        "Something unexpected happened inside the sidecar",
        "An error that should not occur; the log line carries its place.",
        "Please report it with the log line. The rows in hand are kept and tried again.",
        check=HealthCheck.DELIVERY,
        ends=End.TIME | End.ANSWER,
    ),
)

CATALOGUE = {trouble.code: trouble for trouble in _ALL}
"""Every trouble by its code."""

BY_REASON: Mapping[str, Trouble] = {trouble.explains: trouble for trouble in _ALL if trouble.explains is not None}
"""The trouble whose words explain a row's reason; reasons that pass by themselves have none."""

REFUSED: Mapping[Kind, Trouble] = {
    Kind.CONVERSION: CATALOGUE["row_refused"],
    Kind.ADJUSTMENT: CATALOGUE["adjustment_refused"],
}
"""The trouble of a row that Microsoft refused for a reason of its own."""

OF_CHECK: Mapping[HealthCheck, Trouble] = {
    HealthCheck.STORAGE: CATALOGUE["storage_failed"],
    HealthCheck.DISK: CATALOGUE["disk_nearly_full"],
    HealthCheck.CLOCK: CATALOGUE["clock_jumped"],
}
"""The trouble that a health check shows before it is raised."""
