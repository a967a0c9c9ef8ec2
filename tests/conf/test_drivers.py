"""From a URL to a driver's class."""

import sys
from typing import Any

import pytest

from django_machinery.conf import DRIVERS, KINDS, ServerConfig, driver_path, load_driver
from django_machinery.exceptions import ConfigurationError
from django_machinery.seams.backend import ResultBackend
from django_machinery.seams.broker import Broker
from django_machinery.seams.lock import Lock

SEAMS = {"broker": Broker, "backend": ResultBackend, "lock": Lock}
BUILT_IN = [(scheme, kind) for scheme, paths in DRIVERS.items() for kind in KINDS if kind in paths]


class OwnBroker(Broker):
    """A driver that a project brings."""


not_a_class = OwnBroker.__name__


def config(scheme="toy", **paths):
    return ServerConfig(broker=f"{scheme}://user:secret@host", drivers={"toy": paths} if paths else {})


def refusal(config):
    with pytest.raises(ConfigurationError) as caught:
        load_driver("broker", config)
    return str(caught.value)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that tests can import."""

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)

    monkeypatch.syspath_prepend(tmp_path)
    return write


@pytest.mark.parametrize(("scheme", "kind"), BUILT_IN)
def test_every_listed_driver_exists_and_is_of_its_kind(scheme, kind):
    chosen: dict[str, Any] = {KINDS[kind]: f"{scheme}://default"}
    driver = load_driver(kind, ServerConfig(**chosen))
    assert issubclass(driver, SEAMS[kind])


def test_a_project_brings_its_own_drivers():
    assert load_driver("broker", config(broker=f"{__name__}.OwnBroker")) is OwnBroker


def test_a_project_replaces_a_built_in_driver_and_keeps_the_others_of_that_scheme():
    replaced = ServerConfig(drivers={"orm": {"broker": f"{__name__}.OwnBroker"}})
    assert load_driver("broker", replaced) is OwnBroker
    assert driver_path("orm", "lock", replaced) == (DRIVERS["orm"]["lock"], "")


def test_an_unknown_scheme_is_refused_with_the_nearest_right_one():
    text = refusal(config("tox", broker="x.Y"))
    assert text == (
        "MACHINERY['default']['BROKER'] = 'tox://user:***@host': "
        "There is no broker for the scheme 'tox'. Did you mean 'toy'?"
    )


def test_a_scheme_without_that_kind_of_driver_is_refused_with_those_that_have_one():
    with pytest.raises(ConfigurationError, match=r"no lock for the scheme 'null'. There are: eager, orm."):
        driver_path("null", "lock", ServerConfig())


def test_a_scheme_of_the_original_that_is_not_there_yet_is_called_that():
    text = refusal(ServerConfig(broker="amqp://guest:secret@localhost:5672/"))
    assert text.startswith(
        "MACHINERY['default']['BROKER'] = 'amqp://guest:***@localhost:5672/': "
        "The broker of Go's machinery for the scheme 'amqp' is not part of this version. There are: eager, orm, "
    )


def test_a_missing_library_is_refused_with_the_extra_to_install(module):
    module("toy_driver", "import library_that_is_missing")
    text = refusal(config(broker="toy_driver.Broker", extra="redis"))
    assert "needs the extra: pip install 'django-machinery[redis]'" in text


def test_a_missing_library_of_a_driver_without_extra_is_named(module):
    module("toy_driver", "import library_that_is_missing")
    text = refusal(config(broker="toy_driver.Broker"))
    assert "needs the module 'library_that_is_missing', which is not installed" in text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("module_that_is_missing.Broker", "there is no module 'module_that_is_missing'"),
        ("tests.conf.module_that_is_missing.Broker", "there is no module 'tests.conf.module_that_is_missing'"),
        (f"{__name__}.Missing", "is not a class"),
        (f"{__name__}.not_a_class", "is not a class"),
        ("NoModule", "NoModule cannot be imported"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path, text):
    assert text in refusal(config(broker=path, extra="redis"))


def test_a_driver_whose_import_fails_is_refused(module):
    module("toy_driver", "from os import name_that_is_missing")
    assert "toy_driver.Broker cannot be imported: cannot import name" in refusal(config(broker="toy_driver.Broker"))
