"""Microsoft's error codes as one table: what each means for a row, and for a whole request.

A new code is one line here. `reply` reads codes from an answer, and `wire` decides between several.
"""

from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import assert_never

from sidecar.core.answer import Verdict
from sidecar.core.entry import Dead, Fault, Hold, Retry
from sidecar.core.states_and_reasons import Reason


class Meaning(Enum):
    """What an error concerns, and what helps."""

    ROW = auto()  # the row can never be accepted
    OURS = auto()  # the row as we wrote it can never be accepted: our mistake, or the configuration's
    CLOCK = auto()  # the row is in the future by Microsoft's clock: it can be accepted later
    GOAL_NOT_FOUND = auto()  # the row's goal does not exist
    GOAL_SETTLING = auto()  # the row's goal is too young
    TOKEN = auto()  # the access token: a fresh one may help
    ACCOUNT = auto()  # credentials, headers, rights or the account: only a person can help
    THROTTLED = auto()  # too many calls: time helps
    SERVER = auto()  # Microsoft's own trouble: time helps


ROW_MEANINGS = frozenset({Meaning.ROW, Meaning.OURS, Meaning.CLOCK, Meaning.GOAL_NOT_FOUND, Meaning.GOAL_SETTLING})
"""Meanings that concern single rows; the others concern the request that carried them."""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One line of the table. Some symbols have another spelling in Microsoft's reports, and some have no number."""

    number: int | None
    symbols: tuple[str, ...]
    meaning: Meaning
    trouble: str
    """A key of the catalogue in `sidecar.troubles`."""


def _code(meaning: Meaning, number: int | None, symbols: str, trouble: str) -> ErrorCode:
    return ErrorCode(number, tuple(symbols.split()), meaning, trouble)


_row = partial(_code, Meaning.ROW)
_ours = partial(_code, Meaning.OURS, trouble="request_malformed")
_account = partial(_code, Meaning.ACCOUNT)
_throttled = partial(_code, Meaning.THROTTLED, trouble="throttled")
_server = partial(_code, Meaning.SERVER, trouble="unreachable")

TABLE = (
    # Common: https://learn.microsoft.com/advertising/guides/operation-error-codes
    _server(0, "InternalError"),
    _account(100, "NullRequest", "request_malformed"),
    _code(Meaning.TOKEN, 105, "InvalidCredentials", "developer_token_invalid"),
    _account(106, "UserIsNotAuthorized", "not_authorized"),
    _account(108, "UserCompromised", "not_authorized"),
    _code(Meaning.TOKEN, 109, "AuthenticationTokenExpired", "token_refresh_failed"),
    _ours(113, "InvalidDateObject"),
    _account(116, "RequestMissingHeaders", "request_malformed"),
    _throttled(117, "CallRateExceeded"),
    # Not in Microsoft's list: https://github.com/BingAds/BingAds-Python-SDK/issues/154
    _account(119, "InvalidAccountId", "wrong_account"),
    _account(120, "UserLoginAccessDenied", "not_authorized"),
    _account(122, "PersonalIdentityNotAvailable", "not_authorized"),
    _account(123, "WorkIdentityNotAvailable", "not_authorized"),
    _account(124, "PersonalIdentityMigratedToWork", "not_authorized"),
    _account(125, "PersonalIdentityNotAllowedByCustomer", "not_authorized"),
    _account(126, "IdentityTypeMismatch", "not_authorized"),
    _ours(201, "ApiInputValidationError"),
    _server(202, "ApiExecutionError"),
    _ours(203, "NullParameter"),
    _account(204, "OperationNotSupported", "request_malformed"),
    _account(205, "InvalidVersion", "request_malformed"),
    _account(206, "NullArrayArgument", "request_malformed"),
    _throttled(207, "ConcurrentRequestOverLimit"),  # numbers are per service: this one is the Campaign service's
    _account(208, "InvalidAccount", "wrong_account"),
    _account(210, "EntityNotExistent", "request_malformed"),
    _account(1008, "CampaignServiceInvalidAccountStatus", "account_inactive"),
    _account(1009, "CampaignServiceAccountIdMissingInRequestHeader", "wrong_account"),
    _server(1010, "CampaignServiceSystemInReadOnlyMode"),
    _account(1029, "CampaignServiceCustomerIdHasToBeSpecified", "wrong_account"),
    _account(1030, "CampaignServiceAccountIdHasToBeSpecified", "wrong_account"),
    _account(1102, "CampaignServiceInvalidAccountId", "wrong_account"),
    _account(1490, "CampaignServiceInvalidCustomerId", "wrong_account"),
    _account(3101, "OAuthTokenInvalid", "scope_missing"),
    _throttled(4204, "BulkServiceNoMoreCallsPermittedForTheTimePeriod"),
    # Faults without any code, by the names in Microsoft's REST SDK (msads, openapi_client/models/campaign)
    _code(
        Meaning.TOKEN, None, "AdCenterAuthenticationFault NoCredential InvalidSecurityTicket", "token_refresh_failed"
    ),
    _account(None, "InvalidCustomerId", "wrong_account"),  # of the same fault; the code 1490 has another spelling
    _account(None, "AdCenterAuthorizationFault", "not_authorized"),
    _server(None, "AdCenterInternalErrorFault AdCenterSystemFault"),
    # Offline conversions: the same list; the second spellings and the codes without number are from the report,
    # https://learn.microsoft.com/advertising/campaign-management-service/dailysummary
    _ours(5600, "OfflineConversionsNullOrEmpty"),
    _ours(
        5601,
        "OfflineConversionsLimitExceeded OfflineConversionLimitExceeded "
        "OfflineConversionBatchSizeExceedsLimit OfflineConversionsBatchSizeExceedsLimit",
    ),
    _ours(5602, "OfflineConversionIsNull"),
    _row(
        5603, "OfflineConversionMicrosoftClickIdNullOrEmpty OfflineConversionMSClickIdNullOrEmpty", "click_id_refused"
    ),
    _row(5604, "OfflineConversionMicrosoftClickIdInvalid OfflineConversionMSClickIdInvalid", "click_id_refused"),
    _ours(5605, "OfflineConversionNameNullOrEmpty"),
    _code(Meaning.GOAL_NOT_FOUND, 5606, "OfflineConversionNameInvalid", "goal_not_found"),
    _row(5607, "OfflineConversionTimeInvalid", "time_refused"),
    _row(5608, "OfflineConversionTimeNullOrEmpty", "time_refused"),
    _row(5609, "OfflineConversionTimeOutOfWindow", "conversion_too_old"),
    _row(5610, "OfflineConversionValueInvalid", "value_refused"),
    _row(5611, "OfflineConversionCurrencyCodeInvalid", "currency_refused"),
    # "Failed to send to internal server": not a row's fault, so a request refused with it is not halved either.
    _server(5612, "OfflineConversionsApplyFailed"),
    _account(5613, "OfflineConversionPilotNotEnabledForCustomer", "account_inactive"),
    _code(Meaning.CLOCK, 5614, "FutureConversionTimeCannotBeSet", "clock_skew"),
    _code(
        Meaning.GOAL_SETTLING,
        5615,
        "OfflineConversionNotAcceptedForGoal OfflineConversionGoalTooRecent",
        "goal_settling",
    ),
    _row(5616, "ConversionTimeEarlierThanClickTime", "click_after_conversion"),
    _row(5617, "ClickIdDateTimeOutsideGoalConversionWindow", "outside_window"),
    _ours(5618, "OfflineConversionInvalidAdjustmentType"),
    _row(5619, "OfflineConversionAdjustmentTimeNullOrEmpty", "adjustment_refused"),
    _row(5620, "OfflineConversionAdjustmentTimeEarlierThanConversionTime", "adjustment_refused"),
    _row(5621, "OfflineConversionAdjustmentTimeInvalid", "adjustment_refused"),
    _code(Meaning.CLOCK, 5622, "OfflineConversionFutureAdjustmentTimeCannotBeSet", "clock_skew"),
    _row(5623, "OfflineConversionAdjustmentTimeOutOfWindow", "conversion_too_old"),
    _ours(5624, "OfflineConversionAdjustmentValueNotExpected"),
    _ours(5625, "OfflineConversionAdjustmentValueRequired"),
    _ours(5626, "OfflineConversionCurrencyValueRequired"),
    _ours(5627, "OfflineConversionRestateRetractNotSupported"),
    _row(None, "NotEligibleForEnhancedConversions", "goal_not_enhanced"),
    _ours(None, "ConversionEmailAddressIsNotHashed ConversionPhoneNumberIsNotHashed"),
    _row(None, "ExternalAttributionRequiredFieldEmpty ExternalAttributionModelTooLong", "external_attribution_refused"),
    _row(
        None,
        "ExternalAttributionCreditValueInvalid GoalNotEligibleForExternalAttribution",
        "external_attribution_refused",
    ),
)

_BY_SYMBOL = {symbol.casefold(): code for code in TABLE for symbol in code.symbols}
_BY_NUMBER = {code.number: code for code in TABLE if code.number is not None}

UNKNOWN_COMMON = range(100, 200)
"""The range of common codes: they concern credentials, headers and rights, so an unknown one does too."""

UNKNOWN_OFFLINE = range(5600, 5700)
"""The range of offline conversions: these codes concern rows, so an unknown one does too, with any HTTP status."""


def find_code(fault: Fault) -> ErrorCode | None:
    """The line of the table for `fault`: by its symbol, else by its number; None where it has none."""
    by_symbol = _BY_SYMBOL.get(fault.error.casefold())
    return by_symbol or (None if fault.error_code is None else _BY_NUMBER.get(fault.error_code))


def symbol_of(number: int) -> str | None:
    """Microsoft's symbol for a number; None where the table lacks it."""
    code = _BY_NUMBER.get(number)
    return code.symbols[0] if code else None


def concerns_row(fault: Fault) -> bool:
    """Whether `fault` is known to concern single rows; False for an unknown one."""
    code = find_code(fault)
    return code is not None and code.meaning in ROW_MEANINGS


def concerns_request(fault: Fault) -> bool:
    """Whether `fault` is known to concern the whole request, wherever the answer has it."""
    code = find_code(fault)
    return code is not None and code.meaning not in ROW_MEANINGS


def row_outcome(fault: Fault) -> Dead | Hold | Retry:
    """The outcome of the row that has `fault`.

    Troubles of the account or of Microsoft never end a row, and an unknown error may pass: these rows are retried.
    """
    code = find_code(fault)
    if code is None:
        return Retry(fault, known=False)
    match code.meaning:
        case Meaning.ROW | Meaning.OURS as meaning:
            return Dead(fault, ours=meaning is Meaning.OURS)
        case Meaning.GOAL_NOT_FOUND:
            return Hold(fault, Reason.GOAL_NOT_FOUND)
        case Meaning.GOAL_SETTLING:
            return Hold(fault, Reason.GOAL_SETTLING)
        case Meaning.CLOCK | Meaning.TOKEN | Meaning.ACCOUNT | Meaning.THROTTLED:
            return Retry(fault, trouble=code.trouble)
        case Meaning.SERVER:
            return Retry(fault)
        case _:
            assert_never(code.meaning)


@dataclass(frozen=True, slots=True)
class Classification:
    """The class of a refusal, and the trouble to raise: with TOKEN only if a fresh token does not help."""

    verdict: Verdict
    trouble: str


def classify_refusal(fault: Fault, status: int) -> Classification:
    """The class of a request that was refused with `fault` and HTTP `status`; a known code decides first."""
    code = find_code(fault)
    if code is None:
        return _classify_unknown(fault, status)
    match code.meaning:
        case Meaning.TOKEN | Meaning.ACCOUNT | Meaning.THROTTLED | Meaning.SERVER as meaning:
            return Classification(Verdict[meaning.name], code.trouble)
        case Meaning.ROW | Meaning.OURS | Meaning.CLOCK | Meaning.GOAL_NOT_FOUND | Meaning.GOAL_SETTLING:
            return Classification(Verdict.POISON, "poison")
        case _:
            assert_never(code.meaning)


def _classify_unknown(fault: Fault, status: int) -> Classification:
    """429 always means throttled; otherwise the range of the code decides before the status."""
    if status == 429:
        return classify_status(status)
    if fault.error_code in UNKNOWN_COMMON:
        return Classification(Verdict.ACCOUNT, "request_malformed")
    if fault.error_code in UNKNOWN_OFFLINE:
        return Classification(Verdict.POISON, "poison")
    return classify_status(status)


def classify_status(status: int) -> Classification:
    """The class of a refusal by its HTTP status alone; Microsoft does not publish which error has which status.

    401 gets one fresh token first, as in Microsoft's .NET SDK (RestServiceClient.cs); if that fails the account pauses.
    413 is poison because halves are smaller. So is a fault inside a 2xx: halving ends, repeating may not. Any other
    status, such as 3xx or 404, means a wrong address or request, and no row causes it.
    """
    match status:
        case 401:
            return Classification(Verdict.TOKEN, "developer_token_invalid")
        case 403:
            return Classification(Verdict.ACCOUNT, "not_authorized")
        case 429:
            return Classification(Verdict.THROTTLED, "throttled")
        case _ if status in (400, 413, 422) or 200 <= status < 300:
            return Classification(Verdict.POISON, "poison")
        case _ if status == 408 or status >= 500:
            return Classification(Verdict.SERVER, "unreachable")
        case _:
            return Classification(Verdict.ACCOUNT, "request_malformed")
