"""Reads the one YAML file into frozen sections, or reports every reason why it cannot be used.

To add a key: its type and default in `sections.py`, its reason in `config.example.yaml`. A rule between keys goes into
`consistency.py`, a probable mistake into `warnings.py`. The caller passes path and environment.
"""

from sidecar.config.display import RELOADABLE, changes, masked, masked_yaml
from sidecar.config.loader import LoadedConfig, load, locate, parse
from sidecar.config.next_step import next_step
from sidecar.config.problems import ConfigError, ConfigProblem
from sidecar.config.sections import Config, EventSection, MicrosoftSection
from sidecar.config.service_address import ServiceAddress, read_service_address

__all__ = [
    "RELOADABLE",
    "Config",
    "ConfigError",
    "ConfigProblem",
    "EventSection",
    "LoadedConfig",
    "MicrosoftSection",
    "ServiceAddress",
    "changes",
    "load",
    "locate",
    "masked",
    "masked_yaml",
    "next_step",
    "parse",
    "read_service_address",
]
