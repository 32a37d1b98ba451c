"""The error codes of the emulator's answers, and some for scripted faults only.

https://learn.microsoft.com/advertising/guides/operation-error-codes
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One line of Microsoft's list. `status` is the HTTP status when it refuses a whole request."""

    number: int
    symbol: str
    message: str
    status: int = 400


_ALL = (
    # Requests. The HTTP status of each is not documented; these are the ones that Microsoft's own clients handle.
    ErrorCode(0, "InternalError", "An internal error has occurred.", 500),
    ErrorCode(100, "NullRequest", "The request message is null."),
    ErrorCode(105, "InvalidCredentials", "Authentication failed. The credentials are not valid.", 401),
    ErrorCode(106, "UserIsNotAuthorized", "The user does not represent an authorized developer.", 403),
    ErrorCode(108, "UserCompromised", "The user's password must be changed.", 403),
    ErrorCode(109, "AuthenticationTokenExpired", "Authentication token expired.", 401),
    ErrorCode(113, "InvalidDateObject", "The date is not valid."),
    ErrorCode(116, "RequestMissingHeaders", "The request is missing a header."),
    ErrorCode(117, "CallRateExceeded", "Too many calls in a minute.", 429),
    ErrorCode(119, "InvalidAccountId", "The account id is not valid."),
    ErrorCode(120, "UserLoginAccessDenied", "The credentials were merged; use the primary login.", 403),
    ErrorCode(201, "ApiInputValidationError", "The request could not be read."),
    ErrorCode(202, "ApiExecutionError", "The operation failed.", 500),
    ErrorCode(203, "NullParameter", "A parameter is null."),
    ErrorCode(204, "OperationNotSupported", "The operation is not supported."),
    ErrorCode(206, "NullArrayArgument", "An array is null."),
    ErrorCode(207, "ConcurrentRequestOverLimit", "Too many concurrent requests.", 429),
    ErrorCode(208, "InvalidAccount", "The account is not valid."),
    ErrorCode(210, "EntityNotExistent", "The entity does not exist."),
    ErrorCode(1008, "CampaignServiceInvalidAccountStatus", "The account's status does not allow this."),
    ErrorCode(1009, "CampaignServiceAccountIdMissingInRequestHeader", "The account id is missing in the header."),
    ErrorCode(1029, "CampaignServiceCustomerIdHasToBeSpecified", "The customer id has to be specified."),
    ErrorCode(1030, "CampaignServiceAccountIdHasToBeSpecified", "The account id has to be specified."),
    ErrorCode(1102, "CampaignServiceInvalidAccountId", "The account id is not valid."),
    ErrorCode(1490, "CampaignServiceInvalidCustomerId", "The customer id is not valid."),
    ErrorCode(3101, "OAuthTokenInvalid", "The OAuth token lacks the scope msads.manage.", 401),
    # Conversions and adjustments.
    ErrorCode(5600, "OfflineConversionsNullOrEmpty", "The list of offline conversions is null or empty."),
    ErrorCode(5601, "OfflineConversionsLimitExceeded", "The list of offline conversions has more than 1,000 items."),
    ErrorCode(5602, "OfflineConversionIsNull", "The offline conversion is null."),
    ErrorCode(5603, "OfflineConversionMicrosoftClickIdNullOrEmpty", "The click id is null or empty."),
    ErrorCode(5604, "OfflineConversionMicrosoftClickIdInvalid", "The click id is invalid."),
    ErrorCode(5605, "OfflineConversionNameNullOrEmpty", "The name is null or empty."),
    ErrorCode(5606, "OfflineConversionNameInvalid", "The name does not match an existing offline conversion goal."),
    ErrorCode(5607, "OfflineConversionTimeInvalid", "The conversion time is not a UTC time."),
    ErrorCode(5608, "OfflineConversionTimeNullOrEmpty", "The conversion time is null or empty."),
    ErrorCode(5609, "OfflineConversionTimeOutOfWindow", "The conversion time is more than 90 days ago."),
    ErrorCode(5610, "OfflineConversionValueInvalid", "The conversion value is not valid."),
    ErrorCode(5611, "OfflineConversionCurrencyCodeInvalid", "The conversion currency code is not valid."),
    ErrorCode(5612, "OfflineConversionsApplyFailed", "Failed to send to the internal server."),
    ErrorCode(5613, "OfflineConversionPilotNotEnabledForCustomer", "Not enabled for the customer."),
    ErrorCode(5614, "FutureConversionTimeCannotBeSet", "The conversion time is in the future."),
    ErrorCode(5615, "OfflineConversionNotAcceptedForGoal", "The goal was created less than two hours ago."),
    ErrorCode(5616, "ConversionTimeEarlierThanClickTime", "The conversion time is earlier than the click."),
    ErrorCode(5617, "ClickIdDateTimeOutsideGoalConversionWindow", "The click is outside of the goal's window."),
    ErrorCode(5618, "OfflineConversionInvalidAdjustmentType", "The adjustment type must be Restate or Retract."),
    ErrorCode(5619, "OfflineConversionAdjustmentTimeNullOrEmpty", "The adjustment time is null or empty."),
    ErrorCode(5620, "OfflineConversionAdjustmentTimeEarlierThanConversionTime", "It is earlier than the conversion."),
    ErrorCode(5621, "OfflineConversionAdjustmentTimeInvalid", "The adjustment time is not a UTC time."),
    ErrorCode(5622, "OfflineConversionFutureAdjustmentTimeCannotBeSet", "The adjustment time is in the future."),
    ErrorCode(5623, "OfflineConversionAdjustmentTimeOutOfWindow", "The adjustment time is more than 90 days ago."),
    ErrorCode(5624, "OfflineConversionAdjustmentValueNotExpected", "A retraction must have no value."),
    ErrorCode(5625, "OfflineConversionAdjustmentValueRequired", "A restatement needs a value."),
    ErrorCode(5626, "OfflineConversionCurrencyValueRequired", "A restatement needs a currency."),
    ErrorCode(5627, "OfflineConversionRestateRetractNotSupported", "Adjustments are not supported for the goal."),
    # Named by Microsoft without a number; the numbers are made up, so nothing should rely on them.
    ErrorCode(56901, "NotEligibleForEnhancedConversions", "The goal is not eligible for enhanced conversions."),
    ErrorCode(56902, "ConversionEmailAddressIsNotHashed", "The e-mail address is not a SHA-256 hash."),
    ErrorCode(56903, "ConversionPhoneNumberIsNotHashed", "The phone number is not a SHA-256 hash."),
    ErrorCode(56904, "ExternalAttributionRequiredFieldEmpty", "The goal needs external attribution credit and model."),
    ErrorCode(56905, "ExternalAttributionModelTooLong", "The model is too long."),
    ErrorCode(56906, "ExternalAttributionCreditValueInvalid", "The credit must be greater than 0 and at most 1."),
    ErrorCode(56907, "GoalNotEligibleForExternalAttribution", "The goal is not externally attributed."),
    ErrorCode(56908, "ConversionGoalCategoryInvalid", "The goal needs one of the categories of offline conversions."),
    # Goals.
    ErrorCode(5314, "InvalidConversionGoalId", "The conversion goal id is not valid."),
    ErrorCode(5315, "DuplicateConversionGoalId", "The conversion goal id occurs twice in the request."),
    ErrorCode(5316, "DuplicateConversionGoalName", "The conversion goal name occurs twice in the request."),
    ErrorCode(5317, "ConversionGoalNameAlreadyExists", "The customer has a conversion goal of that name."),
    ErrorCode(5318, "ConversionGoalIdArrayExceedsLimit", "More than 100 conversion goal ids."),
    ErrorCode(5319, "ConversionGoalNameNotPassed", "The conversion goal has no name."),
    ErrorCode(5320, "InvalidConversionGoalName", "The conversion goal name is longer than 100 characters."),
    ErrorCode(5321, "ConversionGoalsNotPassed", "The list of conversion goals is null or empty."),
    ErrorCode(5322, "ConversionGoalArrayExceedsLimit", "More than 100 conversion goals."),
    ErrorCode(5323, "ConversionGoalIsNull", "The conversion goal is null."),
    ErrorCode(5324, "ConversionGoalIdIsNotNull", "A new conversion goal must have no id."),
    ErrorCode(5325, "ConversionGoalIdIsNull", "The conversion goal has no id."),
    ErrorCode(5328, "InvalidConversionGoalStatus", "The status is not valid."),
    ErrorCode(5329, "ConversionGoalTypesNotPassed", "No conversion goal types were given."),
    ErrorCode(5331, "ConversionGoalTypeNotMatched", "The type of the conversion goal is not supported."),
    ErrorCode(5332, "InvalidConversionGoalRevenueType", "The revenue type is not valid."),
    ErrorCode(5333, "InvalidConversionGoalRevenueValue", "The revenue value is not valid."),
    ErrorCode(5337, "InvalidConversionGoalConversionWindow", "The conversion window must be 1 to 129600 minutes."),
    ErrorCode(5352, "GoalCurrencyCodeNotSupported", "The currency code is not supported."),
    ErrorCode(5355, "GoalCurrencyCodeIsNull", "A goal of the customer needs a currency code."),
    ErrorCode(5356, "GoalTypeCannotBeChanged", "The type or scope of a goal cannot be changed."),
)

BY_SYMBOL = {code.symbol: code for code in _ALL}
"""Every code by its symbol, which clients should rely on."""

BY_NUMBER = {code.number: code for code in _ALL}
