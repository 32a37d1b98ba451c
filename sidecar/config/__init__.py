"""The one YAML file as frozen sections, or every reason why it cannot be used.

Takes environment and path from the caller; what the values are used for is the composition root's matter.
"""

from sidecar.config.addresses import is_loopback
from sidecar.config.listening import Listening, listening
from sidecar.config.loading import Loaded, examine, load, locate, parse
from sidecar.config.report import ConfigError, ConfigProblem
from sidecar.config.sections import (
    AccountSection,
    Config,
    DeliverySection,
    EndpointOverrides,
    EventSection,
    LoggingSection,
    MatchingSection,
    MicrosoftSection,
    PrivacySection,
    ServerSection,
    StorageSection,
)
from sidecar.config.showing import RELOADABLE, changes, masked, masked_yaml

__all__ = [
    "RELOADABLE",
    "AccountSection",
    "Config",
    "ConfigError",
    "ConfigProblem",
    "DeliverySection",
    "EndpointOverrides",
    "EventSection",
    "Listening",
    "Loaded",
    "LoggingSection",
    "MatchingSection",
    "MicrosoftSection",
    "PrivacySection",
    "ServerSection",
    "StorageSection",
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
