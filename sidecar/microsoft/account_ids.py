"""The ids of an ad account at Microsoft."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountIds:
    """Customer id and account id; an empty one is not sent."""

    customer_id: str
    account_id: str

    @property
    def identity(self) -> str:
        """Both ids as one text, for storage and messages."""
        return f"{self.customer_id}/{self.account_id}"


NO_IDS = AccountIds("", "")
"""What an account has until its ids are configured."""
