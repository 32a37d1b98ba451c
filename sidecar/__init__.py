"""A self-hosted sidecar that carries conversions from any backend to Microsoft Advertising."""

__version__ = "0.1.0"
