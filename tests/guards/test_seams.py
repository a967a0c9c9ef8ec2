"""Every driver runs the contract of the seam that it implements."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

import pytest

from django_machinery import drivers
from django_machinery.seams.backend import ResultBackend
from django_machinery.seams.broker import Broker
from django_machinery.seams.lock import Lock
from tests.contracts.backend import BackendContract
from tests.contracts.broker import BrokerContract
from tests.contracts.lock import LockContract
from tests.guards.package import ROOT


def descendants(cls: type) -> Iterator[type]:
    child: type
    for child in cls.__subclasses__():
        yield child
        yield from descendants(child)


@pytest.fixture(scope="module", autouse=True)
def _everything_is_imported() -> None:
    """Subclasses are known only once their modules are loaded."""
    for module in pkgutil.walk_packages(drivers.__path__, f"{drivers.__name__}."):
        import_module(module.name)
    for path in sorted((ROOT / "tests" / "drivers").rglob("test_*.py")):
        import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.parametrize(
    ("seam", "contract"), [(Broker, BrokerContract), (ResultBackend, BackendContract), (Lock, LockContract)]
)
def test_every_driver_runs_the_contract_of_its_seam(seam: type, contract: type):
    implementations = {cls.__name__ for cls in descendants(seam) if cls.__module__.startswith(drivers.__name__)}
    suites = [cls.__name__ for cls in descendants(contract) if cls.__module__.startswith("tests.drivers.test_")]
    assert implementations, f"No driver implements {seam.__name__}: is the import above still right?"
    untested = {name for name in implementations if not any(suite.startswith(f"Test{name}") for suite in suites)}
    assert not untested, f"Add `class Test<name>({contract.__name__})` in tests/drivers/test_<technology>.py for each"
