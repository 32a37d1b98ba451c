"""The catalogue of troubles: what each one is called, what causes it and how to mend it.

Every place that tells a person what is wrong (`/logs`, `/healthz`, a row, the command line, the documentation) takes
its words from here, so that they agree. Who notices a trouble, and when it ends, is for others to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trouble:
    """A cause with its remedy. `code` is what logs and metrics carry; the rest is for people."""

    code: str
    title: str
    cause: str
    solution: str


_ALL = (
    Trouble(
        "not_connected",
        "Not connected to Microsoft Advertising",
        "Nobody has signed in yet, or the stored sign-in could not be read.",
        "Open /connect in a browser on this machine, or run `sidecar connect`. Conversions are kept until then.",
    ),
    Trouble(
        "token_refresh_failed",
        "Token refresh failed",
        "Microsoft no longer accepts the stored sign-in: the password changed, access was revoked, an extra sign-in "
        "step is asked for, or it was unused for 90 days.",
        "Sign in again at /connect, or run `sidecar connect`. Delivery resumes by itself; no conversion is lost.",
    ),
    Trouble(
        "sign_in_blocked",
        "An administrator has to allow the sign-in",
        "A rule of the company's directory keeps the user or the application out; signing in again alone does not "
        "help.",
        "Show the AADSTS number to an administrator of the directory (docs/connect.md says what each one asks for), "
        "then sign in again at /connect, or run `sidecar connect`. Conversions are kept until then.",
    ),
    Trouble(
        "sign_in_unavailable",
        "Microsoft's sign-in service gives no token",
        "The token endpoint did not answer, or answered that it cannot give one now.",
        "Wait: it is tried again after a second, then with growing pauses of up to a minute. If it lasts and no answer "
        "came, check the network of this machine.",
    ),
    Trouble(
        "sign_in_unsuccessful",
        "Sign-in did not succeed",
        "Microsoft did not accept the way back from its sign-in page, or could not be reached just then. A stored "
        "sign-in stays as it was.",
        "Start again at /connect, or run `sidecar connect`. If it happens again, its error says why.",
    ),
    Trouble(
        "client_secret_expired",
        "Client secret expired",
        "The Azure application's client secret has passed its end date.",
        "Create a new secret under Certificates & secrets of the application, set microsoft.client_secret to its "
        "value and restart. The sign-in itself stays valid.",
    ),
    Trouble(
        "client_secret_invalid",
        "Client secret invalid",
        "Microsoft does not accept microsoft.client_secret: often the secret's id was pasted instead of its value, or "
        "the application is of the other kind (public or confidential).",
        "Paste the secret's value (it is shown once, when it is created), or leave it empty for a public application; "
        "then restart.",
    ),
    Trouble(
        "app_registration",
        "Azure application misconfigured",
        "Microsoft does not know the application, it is disabled, or it does not allow this kind of sign-in.",
        "Check microsoft.client_id, microsoft.tenant and microsoft.redirect_uri against the application "
        "registration; docs/connect.md shows each field. What you change in the configuration needs a restart.",
    ),
    Trouble(
        "scope_missing",
        "Consent or scope missing",
        "The sign-in does not carry the permission msads.manage, or nobody with the right to do so has consented.",
        "Sign in again at /connect and accept the permission. In a company tenant an administrator may have to grant "
        "it first (docs/connect.md).",
    ),
    Trouble(
        "developer_token_invalid",
        "Account ids, developer token or user refused",
        "Microsoft answered 105, which has several causes: the account's two ids are swapped; the developer token "
        "is wrong, not yet approved or of the other environment; or the signed-in user is unknown to Microsoft "
        "Advertising.",
        "Where nothing beside this says more, begin with the ids: accounts.<name>.customer_id is the number behind "
        "cid= in Microsoft Advertising's address bar, account_id the one behind aid=; reload with SIGHUP. Then "
        "compare microsoft.developer_token with the one under Settings > Developer settings, and "
        "microsoft.environment with the one it was issued for; what you change there needs a restart. Last, sign in "
        "as another user at /connect.",
    ),
    Trouble(
        "wrong_account",
        "Wrong account or customer id",
        "Microsoft does not find the account under these ids: they are swapped, or the account number was used "
        "instead of its id. Microsoft may answer 105 to that as well, though the developer token is good.",
        "In Microsoft Advertising's address bar `aid` is the account id and `cid` the customer id; put them into "
        "accounts.<name>.account_id and customer_id, and reload with SIGHUP.",
    ),
    Trouble(
        "not_authorized",
        "The signed-in user may not upload conversions",
        "The user's role or the user's access to this account is not enough, or Microsoft blocked the user.",
        "Give the user the role Standard or Super Admin for this account, or sign in as another user at /connect.",
    ),
    Trouble(
        "account_inactive",
        "The ad account cannot take conversions",
        "The account is not active, or offline conversions are not enabled for it.",
        "Look at the account's status in Microsoft Advertising; its support enables offline conversions.",
    ),
    Trouble(
        "request_malformed",
        "Microsoft does not understand our requests",
        "Microsoft refused the request itself, not a row in it: a header or a field is not as its API wants it now.",
        "Check for a newer version of the sidecar, and report the error with its TrackingId. Rows are kept.",
    ),
    Trouble(
        "goal_not_found",
        "Conversion goal not found",
        "Microsoft knows no offline conversion goal of that exact name in this account; upper and lower case count.",
        "Correct events.<event>.goal to the exact name and reload with SIGHUP, or create the goal: `sidecar goals "
        "plan` shows it, or why it cannot be created here, and `sidecar goals apply` does it. Rows of "
        "the goal wait, and go out by themselves once it is there.",
    ),
    Trouble(
        "goal_paused",
        "Conversion goal is paused",
        "The goal is there, but somebody has paused it; Microsoft would not count its conversions.",
        "Set the goal to active in Microsoft Advertising, or map the event to another goal. Rows of the goal wait, and "
        "go out by themselves within goals.refresh.",
    ),
    Trouble(
        "goal_wrong_type",
        "Conversion goal is of another type",
        "A goal of that name exists, but it counts visits of a website or the like and takes no uploads.",
        "Give events.<event>.goal another name, create that goal with `sidecar goals apply`, and reload with SIGHUP. "
        "Names are unique per customer. Rows of the goal wait as goal_not_found.",
    ),
    Trouble(
        "goal_settling",
        "Conversion goal is too young",
        "Microsoft takes conversions for a goal only about two hours after it was created.",
        "Wait: rows of the goal go out by themselves delivery.goal_settle after the goal was first seen, or, where "
        "Microsoft itself says that it is too young, as soon as Microsoft takes them.",
    ),
    Trouble(
        "goal_not_enhanced",
        "Conversion goal takes no hashes",
        "Enhanced conversions are off for the goal: it matches by click id only, and conversions that have nothing but "
        "an e-mail or phone are skipped.",
        "Turn enhanced conversions on for the goal in Microsoft Advertising, where their terms have to be accepted, "
        "then replay the skipped rows. If click ids are enough for you, say so with events.<event>.enhanced: false and "
        "reload with SIGHUP.",
    ),
    Trouble(
        "goal_not_created",
        "Conversion goal could not be created",
        "Microsoft refused to create the goal; its own words are beside this.",
        "Correct what they name under events:, reload with SIGHUP, and run `sidecar goals apply` again. If it is about "
        "enhanced conversions: somebody has to accept their terms first, by turning them on for any goal in Microsoft "
        "Advertising; or set events.<event>.enhanced: false.",
    ),
    Trouble(
        "goal_name_taken",
        "Conversion goal of another account",
        "Names are unique per customer, and another account of the customer has a goal of that name for itself alone: "
        "this account can neither use it nor create one of that name.",
        "There are two ways out, since another account of the customer has it. A goal of its own for this account: "
        "give it another name with accounts.<account>.goals.<event>. Or one goal for all accounts of the customer: "
        "give events.<event>.goal a new name, and `sidecar goals apply` creates it with scope Customer; the scope of a "
        "goal cannot be changed later. Then reload with SIGHUP. Rows of the goal wait as goal_not_found.",
    ),
    Trouble(
        "auto_tagging_off",
        "Auto-tagging is off",
        "MSCLKIDAutoTaggingEnabled is off in the ad account, so Microsoft adds no msclkid to landing addresses, and no "
        "click id can reach your site.",
        "Turn on auto-tagging of the Microsoft click id in Microsoft Advertising (Settings > Account level options). "
        "It holds no row up.",
    ),
    Trouble(
        "low_match_rate",
        "Low match rate",
        "Fewer than one in five of a goal's recent conversions carry a click id or a usable e-mail or phone; the "
        "others cannot be attributed to an ad.",
        "Send user.email and user.phone with every conversion, and keep the click id: forward landing hits to POST "
        "/v1/clicks or include /msclkid.js (docs/clients.md). See whether redirects drop msclkid, and try values with "
        "`sidecar hash`.",
    ),
    Trouble(
        "account_paused",
        "Delivery for the account is paused",
        "Microsoft refused the account's requests for a reason that is not the row's.",
        "GET /healthz names the trouble and its remedy. The account is tried again every 15 minutes.",
    ),
    Trouble(
        "paused_by_operator",
        "Account paused by an operator",
        "Somebody paused the account with `sidecar pause` or POST /v1/accounts/<name>/pause. Conversions are taken and "
        "kept; nothing is sent.",
        "Resume it with `sidecar resume <name>`, or POST /v1/accounts/<name>/resume: delivery goes on at once.",
    ),
    Trouble(
        "unmapped",
        "Event or account no longer configured",
        "The row's event or account left the configuration after it was received.",
        "Put it back under events or accounts and reload with SIGHUP: the row then goes out.",
    ),
    Trouble(
        "throttled",
        "Throttled by Microsoft",
        "Microsoft limits the calls a minute of a user and of a customer, and publishes no number: these were too "
        "many. All accounts of the customer wait.",
        "Nothing to do: delivery pauses and comes back slower. If it returns often, lower "
        "delivery.requests_per_minute and reload with SIGHUP, most of all where several accounts belong to one "
        "customer, or see what else uses the same credentials.",
    ),
    Trouble(
        "unreachable",
        "Microsoft Advertising gives no usable answer",
        "Requests fail before an answer, or are answered by an error of Microsoft's servers.",
        "Nothing to do if it passes: rows are kept and sent again. If it lasts, check whether this machine may reach "
        "*.api.bingads.microsoft.com on port 443, directly or through a proxy (HTTPS_PROXY).",
    ),
    Trouble(
        "name_not_found",
        "Microsoft's host name was not found (DNS)",
        "The name server of this machine, or of its container, does not know the host, or cannot be reached.",
        "Check DNS where the sidecar runs (/etc/resolv.conf; `--dns` of a container) and the names under "
        "microsoft.endpoints. Where the way out leads through a proxy, set HTTPS_PROXY and restart: the proxy then "
        "looks the names up.",
    ),
    Trouble(
        "tls_failed",
        "No trusted connection to Microsoft (TLS)",
        "The certificate that came is not signed by a root that this machine trusts, is for another name or is out of "
        "date, or the TLS handshake failed: mostly a firewall or proxy that opens TLS, or a wrong clock.",
        "Put the root certificate of that firewall or proxy into a PEM file, name it in microsoft.ca_bundle and "
        "restart; or let Microsoft's hosts pass it unopened. If the certificate is out of date, look at this machine's "
        "clock. What OpenSSL said stands beside this.",
    ),
    Trouble(
        "proxy_unusable",
        "The proxy does not lead to Microsoft",
        "The proxy that HTTPS_PROXY or ALL_PROXY names cannot be reached, does not speak HTTP, or refuses to connect "
        "to Microsoft's hosts.",
        "Check the variable's host and port, and have the proxy allow CONNECT to login.microsoftonline.com:443 and "
        "*.api.bingads.microsoft.com:443. Where no proxy is needed, remove the variable or name the hosts in NO_PROXY. "
        "A changed environment needs a restart.",
    ),
    Trouble(
        "proxy_login",
        "The proxy wants another user or password",
        "The proxy that HTTPS_PROXY or ALL_PROXY names answered 407: user and password are missing there, or wrong.",
        "Put them into the variable, as in http://user:password@host:port (% and : / ? # @ in them as %25, %3A, %2F, "
        "%3F, %23, %40), and restart. A proxy that takes no Basic credentials needs a rule for this machine.",
    ),
    Trouble(
        "conversion_too_old",
        "Conversion too old",
        "Microsoft takes conversions for 90 days after they happened; these could not be sent in time.",
        "They can no longer be counted. Look at what held them up: /healthz names the first expiry ahead of time.",
    ),
    Trouble(
        "awaiting_click",
        "Waiting for the visitor's click",
        "No ad click of the conversion's visitor has come in yet that happened before it.",
        "Send the click to POST /v1/clicks with the same visitor_id: the row goes out at once. After clicks.wait it "
        "goes out on its hashes where the goal is enhanced, else it ends as no_click.",
    ),
    Trouble(
        "click_settling",
        "Waiting until the click is an hour old",
        "Microsoft advises to upload a conversion an hour after its click at the earliest, so that the click is found.",
        "Nothing to do: the row goes out when its time has come (due_at). delivery.click_settle sets how long.",
    ),
    Trouble(
        "no_click",
        "No click for the conversion",
        "No ad click of the visitor came in within clicks.wait, and the conversion has no hashes that its goal "
        "matches by.",
        "If the visitor did click an ad, send the click to POST /v1/clicks with the same visitor_id: the row is "
        "revived. For visitors who come without a click nothing is wrong. See docs/attribution.md.",
    ),
    Trouble(
        "outside_window",
        "Click outside the goal's window",
        "The visitor's last click before the conversion is older than the goal's conversion window, so Microsoft "
        "would not count it.",
        "Widen the goal's conversion window in Microsoft Advertising (up to 90 days) if such conversions should "
        "count, then replay the rows.",
    ),
    Trouble(
        "awaiting_original",
        "Waiting for the conversion it adjusts",
        "The conversion is on its way, or no answer says yet whether Microsoft took it; or an earlier adjustment of it "
        "is on its way.",
        "Nothing to do: the adjustment goes out by itself once that is known. What the conversion waits for stands in "
        "its own row, by conversion_id.",
    ),
    Trouble(
        "original_not_sent",
        "Nothing at Microsoft to adjust",
        "The conversion was given up before Microsoft took it, so there is nothing to restate or retract.",
        "Nothing to do where the conversion shall not count. Where it shall, send it again with the right value, under "
        "another order id.",
    ),
    Trouble(
        "row_refused",
        "Microsoft refused a conversion",
        "The conversion reached Microsoft and was refused for good; the row carries Microsoft's reason.",
        "Mend what the reason names and send the conversion again with the same order_id: other content replaces the "
        "dead row, the same content is answered with it. Where the cause was outside of it (a goal, the account), "
        "`sidecar replay` sends it again as it is.",
    ),
    Trouble(
        "click_id_refused",
        "Microsoft knows no such click id",
        "Microsoft refused the click id: it is cut off, belongs to another platform (a gclid is not an "
        "msclkid), or was never given out.",
        "See where the msclkid is taken from: it must be the msclkid parameter of the landing address, all 32 "
        "digits of it. Send the conversion again with the right one and the same order_id, or with the "
        "customer's e-mail or phone instead.",
    ),
    Trouble(
        "click_after_conversion",
        "The click came after the conversion",
        "By Microsoft's clock the ad click happened after the conversion it should have led to: mostly a time "
        "without its time zone, or a click id of a later visit.",
        "Send `time` with the right offset, or leave it out where the conversion happens now. Send the "
        "conversion again with the same order_id.",
    ),
    Trouble(
        "before_click",
        "The conversion lies before its own click",
        "The click that the conversion goes with was captured as later than the conversion itself. Most likely a time "
        "zone is wrong: a local time was sent as if it were UTC. Microsoft counts no conversion before its click.",
        "Look at the offset of `time` where the conversions are sent from, and at the clocks. One that was skipped is "
        "replaced when it comes again with the same order_id and the right time. One that was delivered keeps its "
        "time: take it back with a retract, and send it again with the right time under another order_id.",
    ),
    Trouble(
        "time_refused",
        "Microsoft refused the time",
        "Microsoft could not read the conversion's time.",
        "Check for a newer version of the sidecar and report the error with its TrackingId; then replay the row.",
    ),
    Trouble(
        "value_refused",
        "Microsoft refused the value",
        "Microsoft does not take the conversion's value: it is negative, too large or has too many decimals for it.",
        "Send the conversion again with a value that is right, in whole currency units, and the same order_id.",
    ),
    Trouble(
        "currency_refused",
        "Microsoft refused the currency",
        "Microsoft does not know the currency's code, or does not take it.",
        "Send the conversion again with a currency that Microsoft Advertising offers, or set "
        "events.<event>.currency, and use the same order_id.",
    ),
    Trouble(
        "external_attribution_refused",
        "Microsoft refused the external attribution",
        "The goal is not set up for external attribution, or credit and model are not as it wants them.",
        "Leave external_attribution out, or set the goal up for it in Microsoft Advertising; then send the "
        "conversion again with the same order_id.",
    ),
    Trouble(
        "adjustment_refused",
        "Microsoft refused an adjustment",
        "The adjustment reached Microsoft and was refused for good; the row carries Microsoft's reason. The conversion "
        "still counts as it did before.",
        "Mend what the reason names and send the adjustment again: one that was refused is stored anew.",
    ),
    Trouble(
        "erased",
        "Erased",
        "The person's data was erased at somebody's request: nothing is left that the conversion could be matched by.",
        "Nothing to do. Neither a replay nor the same order brings it back.",
    ),
    Trouble(
        "not_counted",
        "Uploaded but not counted",
        "Microsoft took the conversion; whether it counts is decided afterwards, when Microsoft looks for an "
        "ad click behind it. Reports show it 6 to 24 hours later, on the day of the click.",
        "Nothing to do on the first day. If it does not show after that, look at the goal's column All conv. "
        "by the day of the click, and at docs/not-counted.md, which lists why a delivered conversion may "
        "not count.",
    ),
    Trouble(
        "row_retried",
        "Microsoft asked for a conversion again",
        "Microsoft could not take the row at the moment, or gave a reason that this version does not know.",
        "Nothing to do: the row is tried again with growing pauses until it is 90 days old. If the reason is unknown, "
        "check for a newer version of the sidecar.",
    ),
    Trouble(
        "poison",
        "A conversion makes Microsoft refuse whole requests",
        "A request was refused as a whole; it was halved until the offending row stood alone.",
        "Look at the row and its message. The other rows of the request were sent without it.",
    ),
    Trouble(
        "batch_refused",
        "Most of a request was refused",
        "More than half of a batch would have to be given up: the cause is the configuration or a change at "
        "Microsoft, not single rows.",
        "Read the error in /logs. The rows wait and are tried again; none was given up.",
    ),
    Trouble(
        "clock_skew",
        "This machine's clock is off",
        "Microsoft says that conversion times lie in the future.",
        "Synchronise the clock (NTP). The rows are tried again.",
    ),
    Trouble(
        "clock_jumped",
        "This machine's clock jumped",
        "The clock was set by more than a second, or was never set. The sidecar keeps its own time until an answer of "
        "Microsoft shows which is right; it follows a jump of at most a week ahead or a day back after a minute too.",
        "If the clock was set right, nothing: it is followed by itself. If not, synchronise it (NTP). While no time "
        "can be told, intake answers 503 and nothing is lost.",
    ),
    Trouble(
        "disk_nearly_full",
        "Disk nearly full",
        "Less than storage.min_free_disk is left where the outbox lies; intake answers 503 so that nothing "
        "acknowledged can be lost.",
        "Free space on that disk: intake resumes by itself. Or move the outbox to a larger one, with storage.url; that "
        "needs a restart.",
    ),
    Trouble(
        "outbox_growing",
        "Outbox full",
        "storage.max_pending rows are waiting; intake answers 503.",
        "Look at what holds delivery up (/healthz). Raise storage.max_pending if the disk allows it; that needs a "
        "restart.",
    ),
    Trouble(
        "storage_failed",
        "The outbox cannot be written",
        "SQLite could not write to disk.",
        "Check the disk and the rights on the outbox file; the message names the error.",
    ),
    Trouble(
        "storage_broken",
        "The outbox can no longer be trusted",
        "The disk failed while the outbox was written, or something in the file is not as SQLite left it. The sidecar "
        "ended itself at once, so that nothing is acknowledged that may be lost.",
        "Look at the disk (`dmesg`, SMART, free space), then start the sidecar again: a sound file goes on where it "
        "was, a damaged one is refused with what to do. Whatever was answered 503 or not at all must be sent again.",
    ),
    Trouble(
        "loop_failed",
        "Something unexpected happened inside the sidecar",
        "An error that should not occur; the log line carries its place.",
        "Please report it with the log line. The rows in hand are kept and tried again.",
    ),
)

CATALOGUE = {trouble.code: trouble for trouble in _ALL}
"""Every trouble by its code."""

WAITS_FOR: Mapping[str, str] = {
    "not_connected": "there is no usable sign-in to Microsoft Advertising",
    "token_refresh_failed": "Microsoft no longer accepts the sign-in",
    "sign_in_blocked": "Microsoft does not let this sign-in in",
    "sign_in_unavailable": "Microsoft's sign-in service gives no token",
    "client_secret_expired": "the client secret has expired",
    "client_secret_invalid": "Microsoft does not accept the client secret",
    "app_registration": "the Azure application is misconfigured",
    "scope_missing": "the sign-in lacks a permission",
    "developer_token_invalid": "Microsoft does not accept the developer token or the sign-in",
    "wrong_account": "Microsoft does not find the account under these ids",
    "not_authorized": "the signed-in user may not upload conversions",
    "account_inactive": "the ad account cannot take conversions",
    "request_malformed": "Microsoft does not understand our requests",
    "goal_not_found": "Microsoft has no goal called {subject}",
    "goal_paused": "the goal {subject} is paused",
    "goal_wrong_type": "the goal {subject} takes no uploads",
    "goal_settling": "the goal {subject} is too young",
    "account_paused": "delivery for the account is paused",
    "paused_by_operator": "an operator paused the account {account}",
    "unmapped": "the event {subject} is not configured any more",
    "throttled": "Microsoft asked for a slower pace",
    "unreachable": "Microsoft Advertising gives no usable answer",
    "name_not_found": "the name of Microsoft's server is not found",
    "tls_failed": "there is no trusted connection to Microsoft",
    "proxy_unusable": "the proxy cannot be used",
    "proxy_login": "the proxy asks for a login",
    "batch_refused": "Microsoft refuses most of a request",
}
"""What the rows of its goal, its account or everybody wait for while a trouble stands: the end of a sentence that
begins with how many they are. Every other trouble holds up single rows, or none."""
