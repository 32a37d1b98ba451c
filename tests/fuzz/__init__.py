"""Bytes of others: what reads them never raises anything but its own words."""
