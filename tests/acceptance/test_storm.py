from pathlib import Path

from tests.acceptance import storm
from tests.databases import on_databases
from tests.proofs.site import site


@on_databases("default", "postgres")
def test_workers_that_are_killed_lose_nothing_and_run_nothing_twice_but_what_they_held(database: str, tmp_path: Path):
    with site(database, tmp_path) as place:
        ledger = storm.prove(place, count=2000, kills=6, seed=1)
    assert not ledger.broken, str(ledger)
