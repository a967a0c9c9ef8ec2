"""Every broker with every result backend that is present."""

from pathlib import Path
from typing import Any

import pytest

from tests import toys
from tests.contracts.support import unique
from tests.databases import ALIASES, database_params
from tests.services.redis_stores import STORES, Stores

BROKERS = ("push", "leasing", "duplicating", "eager")
"""Those outside of the database; `duplicating` is the leasing one when it delivers every third message twice."""

REDIS = tuple(f"redis-{name}" for name in STORES)
PAIRS = [
    *((alias, "orm", backend) for alias in ALIASES for backend in ("orm", "eager")),
    *(("default", broker, backend) for broker in BROKERS for backend in ("orm", "eager", "redis-tcp")),
    *(("default", redis, redis) for redis in REDIS),
    *(("default", redis, "orm") for redis in ("redis-tcp", "redis-cluster")),
    *(("default", broker, "redis-cluster") for broker in ("orm", "push", "redis-tcp")),
]
"""(database, broker, backend): the database keeps the app's own tables whatever the broker."""


def pairs(broker: str = "", backend: str = "") -> list[Any]:
    """Parameters `database, broker, backend`: all, or those of one broker or backend."""
    return [
        pytest.param(*pair, marks=database_params(pair[0])[0].marks, id="-".join(pair))
        for pair in PAIRS
        if broker in ("", pair[1]) and backend in ("", pair[2])
    ]


def settings_of(
    database: str, broker: str, backend: str, directory: Path, stores: Stores | None = None
) -> dict[str, Any]:
    """An entry for MACHINERY. `stores` is asked for Redis."""
    of_redis: dict[str, Any] = {}
    urls = {
        "orm": f"orm://{database}",
        "eager": "eager://",
        "push": f"push://{unique('server')}",
        "leasing": f"leasing://{directory}/messages",
        "duplicating": f"leasing://{directory}/messages?duplicates=3",
    }
    for name in {broker, backend}.intersection(REDIS):
        assert stores is not None
        store = stores.get(name.removeprefix("redis-"))
        store.flush()
        urls[name] = store.url
        of_redis |= {key.upper(): value for key, value in store.settings.items()}
    return {
        **of_redis,
        "BROKER": urls[broker],
        "RESULT_BACKEND": urls[backend],
        "LOCK": "eager://",
        "DATABASE": database,
        "DRIVERS": toys.DRIVERS,
        "LEASE": 3.0,
    }
