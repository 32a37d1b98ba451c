"""The one YAML file as frozen sections, or every reason why it cannot be used.

Takes environment and path from the caller; what the values are used for is the composition root's matter.
"""

from sidecar.config.addresses import is_loopback
from sidecar.config.listening import Listening, listening
from sidecar.config.loading import Loaded, examine, load, locate, parse
from sidecar.config.report import ConfigError, Problem
from sidecar.config.sections import (
    Account,
    Config,
    Delivery,
    EndpointOverrides,
    Event,
    Logging,
    Matching,
    Microsoft,
    Privacy,
    Server,
    Storage,
)
from sidecar.config.showing import RELOADABLE, changes, masked, masked_yaml

__all__ = [
    "RELOADABLE",
    "Account",
    "Config",
    "ConfigError",
    "Delivery",
    "EndpointOverrides",
    "Event",
    "Listening",
    "Loaded",
    "Logging",
    "Matching",
    "Microsoft",
    "Privacy",
    "Problem",
    "Server",
    "Storage",
    "changes",
    "examine",
    "is_loopback",
    "listening",
    "load",
    "locate",
    "masked",
    "masked_yaml",
    "parse",
]
