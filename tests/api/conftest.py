"""Fixtures of the API's tests; what they are made of is in `api_kit`."""

from api_kit import api, conversion, open_api

__all__ = ["api", "conversion", "open_api"]
