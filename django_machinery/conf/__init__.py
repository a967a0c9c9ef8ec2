"""Settings: `MACHINERY = {"alias": {"BROKER": url, ...}}`, read lazily, an alias at a time.

`keys` is the table of what may be set, `reading` turns settings into a `ServerConfig`, `drivers` finds the classes
behind a URL, `original` and `yaml_files` read the configuration of Go programs, `following` and `inheritance` keep a
worker's processes in step with its file. Nothing is required: with no setting at all there is one server, "default", on
the default database.
"""

from django_machinery.conf.drivers import DRIVERS, KINDS, driver_path, load_driver
from django_machinery.conf.following import follow
from django_machinery.conf.inheritance import inherited
from django_machinery.conf.keys import KEYS, Key, ServerConfig
from django_machinery.conf.original import from_environment
from django_machinery.conf.reading import Fault, Problem, aliases, nearest, problems, server_config
from django_machinery.conf.urls import parse_url, redact
from django_machinery.conf.yaml_files import from_yaml, handed_down, unknown_names

__all__ = [
    "DRIVERS",
    "KEYS",
    "KINDS",
    "Fault",
    "Key",
    "Problem",
    "ServerConfig",
    "aliases",
    "driver_path",
    "follow",
    "from_environment",
    "from_yaml",
    "handed_down",
    "inherited",
    "load_driver",
    "nearest",
    "parse_url",
    "problems",
    "redact",
    "server_config",
    "unknown_names",
]
