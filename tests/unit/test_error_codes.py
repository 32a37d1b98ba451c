"""Every code of Microsoft's list, read from its documentation and not from our table, gets its class."""

import pytest

from sidecar.core.answer import Verdict
from sidecar.core.entry import Dead, Fault, Hold, Retry
from sidecar.core.states_and_reasons import Reason
from sidecar.microsoft.error_codes import (
    TABLE,
    classify_refusal,
    concerns_request,
    concerns_row,
    find_code,
    row_outcome,
    symbol_of,
)
from sidecar.troubles import CATALOGUE

# number, symbol, what becomes of a row it stands at, what a request refused with it calls for, the trouble.
# https://learn.microsoft.com/advertising/guides/operation-error-codes
EXPECTED = """
0     InternalError                                            retry     server     unreachable
100   NullRequest                                              retry     account    request_malformed
105   InvalidCredentials                                       retry     token      developer_token_invalid
106   UserIsNotAuthorized                                      retry     account    not_authorized
108   UserCompromised                                          retry     account    not_authorized
109   AuthenticationTokenExpired                               retry     token      token_refresh_failed
113   InvalidDateObject                                        ours      poison     poison
116   RequestMissingHeaders                                    retry     account    request_malformed
117   CallRateExceeded                                         retry     throttled  throttled
119   InvalidAccountId                                         retry     account    wrong_account
120   UserLoginAccessDenied                                    retry     account    not_authorized
122   PersonalIdentityNotAvailable                             retry     account    not_authorized
123   WorkIdentityNotAvailable                                 retry     account    not_authorized
124   PersonalIdentityMigratedToWork                           retry     account    not_authorized
125   PersonalIdentityNotAllowedByCustomer                     retry     account    not_authorized
126   IdentityTypeMismatch                                     retry     account    not_authorized
201   ApiInputValidationError                                  ours      poison     poison
202   ApiExecutionError                                        retry     server     unreachable
203   NullParameter                                            ours      poison     poison
204   OperationNotSupported                                    retry     account    request_malformed
205   InvalidVersion                                           retry     account    request_malformed
206   NullArrayArgument                                        retry     account    request_malformed
207   ConcurrentRequestOverLimit                               retry     throttled  throttled
208   InvalidAccount                                           retry     account    wrong_account
210   EntityNotExistent                                        retry     account    request_malformed
1008  CampaignServiceInvalidAccountStatus                      retry     account    account_inactive
1009  CampaignServiceAccountIdMissingInRequestHeader           retry     account    wrong_account
1010  CampaignServiceSystemInReadOnlyMode                      retry     server     unreachable
1029  CampaignServiceCustomerIdHasToBeSpecified                retry     account    wrong_account
1030  CampaignServiceAccountIdHasToBeSpecified                 retry     account    wrong_account
1102  CampaignServiceInvalidAccountId                          retry     account    wrong_account
1490  CampaignServiceInvalidCustomerId                         retry     account    wrong_account
3101  OAuthTokenInvalid                                        retry     account    scope_missing
4204  BulkServiceNoMoreCallsPermittedForTheTimePeriod          retry     throttled  throttled
5600  OfflineConversionsNullOrEmpty                            ours      poison     poison
5601  OfflineConversionsLimitExceeded                          ours      poison     poison
5602  OfflineConversionIsNull                                  ours      poison     poison
5603  OfflineConversionMicrosoftClickIdNullOrEmpty             dead      poison     poison
5604  OfflineConversionMicrosoftClickIdInvalid                 dead      poison     poison
5605  OfflineConversionNameNullOrEmpty                         ours      poison     poison
5606  OfflineConversionNameInvalid                             not_found poison     poison
5607  OfflineConversionTimeInvalid                             dead      poison     poison
5608  OfflineConversionTimeNullOrEmpty                         dead      poison     poison
5609  OfflineConversionTimeOutOfWindow                         dead      poison     poison
5610  OfflineConversionValueInvalid                            dead      poison     poison
5611  OfflineConversionCurrencyCodeInvalid                     dead      poison     poison
5612  OfflineConversionsApplyFailed                            retry     server     unreachable
5613  OfflineConversionPilotNotEnabledForCustomer              retry     account    account_inactive
5614  FutureConversionTimeCannotBeSet                          clock     poison     poison
5615  OfflineConversionNotAcceptedForGoal                      settling  poison     poison
5616  ConversionTimeEarlierThanClickTime                       dead      poison     poison
5617  ClickIdDateTimeOutsideGoalConversionWindow               dead      poison     poison
5618  OfflineConversionInvalidAdjustmentType                   ours      poison     poison
5619  OfflineConversionAdjustmentTimeNullOrEmpty               dead      poison     poison
5620  OfflineConversionAdjustmentTimeEarlierThanConversionTime dead      poison     poison
5621  OfflineConversionAdjustmentTimeInvalid                   dead      poison     poison
5622  OfflineConversionFutureAdjustmentTimeCannotBeSet         clock     poison     poison
5623  OfflineConversionAdjustmentTimeOutOfWindow               dead      poison     poison
5624  OfflineConversionAdjustmentValueNotExpected              ours      poison     poison
5625  OfflineConversionAdjustmentValueRequired                 ours      poison     poison
5626  OfflineConversionCurrencyValueRequired                   ours      poison     poison
5627  OfflineConversionRestateRetractNotSupported              ours      poison     poison
-     NotEligibleForEnhancedConversions                        dead      poison     poison
-     ConversionEmailAddressIsNotHashed                        ours      poison     poison
-     ConversionPhoneNumberIsNotHashed                         ours      poison     poison
-     ExternalAttributionRequiredFieldEmpty                    dead      poison     poison
-     ExternalAttributionModelTooLong                          dead      poison     poison
-     ExternalAttributionCreditValueInvalid                    dead      poison     poison
-     GoalNotEligibleForExternalAttribution                    dead      poison     poison
-     AdCenterAuthenticationFault                              retry     token      token_refresh_failed
-     NoCredential                                             retry     token      token_refresh_failed
-     InvalidSecurityTicket                                    retry     token      token_refresh_failed
-     InvalidCustomerId                                        retry     account    wrong_account
-     AdCenterAuthorizationFault                               retry     account    not_authorized
-     AdCenterInternalErrorFault                               retry     server     unreachable
-     AdCenterSystemFault                                      retry     server     unreachable
"""
ROWS = [line.split() for line in EXPECTED.split("\n") if line]
NUMBERED = [row for row in ROWS if row[0] != "-"]

# As the report of uploads spells them: https://learn.microsoft.com/advertising/campaign-management-service/dailysummary
OF_THE_REPORT = {
    "OfflineConversionBatchSizeExceedsLimit": 5601,
    "OfflineConversionGoalTooRecent": 5615,
    "OfflineConversionMSClickIdNullOrEmpty": 5603,
    "OfflineConversionMSClickIdInvalid": 5604,
}

# Codes of goals and tags, which an upload has no business to answer with.
OF_GOALS = [5300, 5301, 5304, *range(5314, 5330), 5331, 5332, 5333, 5337, 5347, 5351, 5352, 5355, 5356]


def becomes(outcome: Dead | Hold | Retry) -> str:
    match outcome:
        case Dead(ours=ours):
            return "ours" if ours else "dead"
        case Hold(reason=reason):
            return {Reason.GOAL_NOT_FOUND: "not_found", Reason.GOAL_SETTLING: "settling"}[reason]
        case Retry(trouble="clock_skew"):
            return "clock"
        case Retry(known=known_):
            return "retry" if known_ else "unknown"


@pytest.mark.parametrize(("number", "symbol", "row", "verdict", "trouble"), ROWS, ids=[row[1] for row in ROWS])
def test_each_code_has_its_class_by_symbol(number: str, symbol: str, row: str, verdict: str, trouble: str) -> None:
    fault = Fault(symbol)
    classified = classify_refusal(fault, 400)
    assert (becomes(row_outcome(fault)), classified.verdict, classified.trouble) == (row, Verdict(verdict), trouble)


@pytest.mark.parametrize(("number", "symbol", "row", "verdict", "trouble"), NUMBERED, ids=[row[0] for row in NUMBERED])
def test_each_code_has_its_class_by_number(number: str, symbol: str, row: str, verdict: str, trouble: str) -> None:
    fault = Fault("NeverHeardOf", int(number))
    classified = classify_refusal(fault, 500)
    assert (becomes(row_outcome(fault)), classified.verdict, classified.trouble) == (row, Verdict(verdict), trouble)
    assert symbol_of(int(number)) == symbol


def test_the_table_holds_nothing_that_is_not_expected_here() -> None:
    symbols = {symbol for code in TABLE for symbol in code.symbols}
    spellings = {"OfflineConversionLimitExceeded", "OfflineConversionsBatchSizeExceedsLimit"}
    assert symbols == {row[1] for row in ROWS} | OF_THE_REPORT.keys() | spellings
    assert {code.number for code in TABLE if code.number is not None} == {int(row[0]) for row in NUMBERED}


def test_no_symbol_and_no_number_is_listed_twice() -> None:
    symbols = [symbol.casefold() for code in TABLE for symbol in code.symbols]
    numbers = [code.number for code in TABLE if code.number is not None]
    assert len(symbols) == len(set(symbols))
    assert len(numbers) == len(set(numbers))


def test_every_trouble_is_in_the_catalogue() -> None:
    statuses = (200, 302, 400, 401, 403, 404, 408, 413, 422, 429, 500, 503)
    troubles = {code.trouble for code in TABLE} | {
        classify_refusal(Fault("Unheard"), status).trouble for status in statuses
    }
    assert troubles <= CATALOGUE.keys()


@pytest.mark.parametrize(("symbol", "number"), OF_THE_REPORT.items())
def test_the_reports_spelling_means_the_same(symbol: str, number: int) -> None:
    assert find_code(Fault(symbol)) is find_code(Fault("", number))


def test_the_symbol_counts_before_the_number() -> None:
    """Numbers are per service, symbols are not."""
    assert becomes(row_outcome(Fault("OfflineConversionMicrosoftClickIdInvalid", 5615))) == "dead"


def test_symbols_are_known_in_any_case() -> None:
    assert becomes(row_outcome(Fault("offlineconversionnameinvalid"))) == "not_found"


@pytest.mark.parametrize("number", [*OF_GOALS, 8004, 9999, None])
def test_an_unknown_row_error_is_retried_and_never_kills(number: int | None) -> None:
    fault = Fault("SomethingNew", number)
    assert row_outcome(fault) == Retry(fault, known=False)
    assert not concerns_row(fault)
    assert not concerns_request(fault)


@pytest.mark.parametrize(
    ("status", "verdict", "trouble"),
    [
        (400, Verdict.POISON, "poison"),
        (422, Verdict.POISON, "poison"),
        (413, Verdict.POISON, "poison"),
        (401, Verdict.TOKEN, "developer_token_invalid"),
        (403, Verdict.ACCOUNT, "not_authorized"),
        (404, Verdict.ACCOUNT, "request_malformed"),
        (405, Verdict.ACCOUNT, "request_malformed"),
        (302, Verdict.ACCOUNT, "request_malformed"),
        (408, Verdict.SERVER, "unreachable"),
        (429, Verdict.THROTTLED, "throttled"),
        (500, Verdict.SERVER, "unreachable"),
        (501, Verdict.SERVER, "unreachable"),
        (503, Verdict.SERVER, "unreachable"),
        (599, Verdict.SERVER, "unreachable"),
        (200, Verdict.POISON, "poison"),
    ],
)
def test_an_unknown_request_error_is_judged_by_its_status(status: int, verdict: Verdict, trouble: str) -> None:
    classified = classify_refusal(Fault("SomethingNew", 9999), status)
    assert (classified.verdict, classified.trouble) == (verdict, trouble)


@pytest.mark.parametrize("number", [101, 104, 107, 110, 118, 199])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_unknown_common_code_pauses_the_account_with_any_status(number: int, status: int) -> None:
    assert classify_refusal(Fault("SomethingNew", number), status).verdict is Verdict.ACCOUNT


@pytest.mark.parametrize("status", [200, 400, 500, 503])
def test_unknown_code_of_offline_conversions_belongs_to_a_row_with_any_status(status: int) -> None:
    assert classify_refusal(Fault("SomethingNew", 5630), status).verdict is Verdict.POISON
    assert classify_refusal(Fault("SomethingNew", 5630), 429).verdict is Verdict.THROTTLED


def test_too_many_requests_is_a_throttle_even_with_an_unknown_common_code() -> None:
    assert classify_refusal(Fault("SomethingNew", 118), 429).verdict is Verdict.THROTTLED


def test_each_known_code_concerns_either_rows_or_the_request() -> None:
    for code in TABLE:
        fault = Fault(code.symbols[0])
        assert concerns_row(fault) is not concerns_request(fault)
        assert concerns_row(fault) is (classify_refusal(fault, 400).verdict is Verdict.POISON)
