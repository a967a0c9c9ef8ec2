"""Specs of all kinds, most of them bad: each is refused with CronError, or has ticks and words. None is costly."""

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django_machinery.cron import CronError, parse
from tests.cron.reference import POLICIES
from tests.proofs.ledger import Ledger

SPECS = 1_000_000
SLOWEST = 0.5
"""CPU seconds that no spec may take, with room for a slow machine that is busy."""
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe")]
YEARS = range(1975, 2038)

FIELDS = (
    ((0, 59), ()),
    ((0, 23), ()),
    ((1, 31), ()),
    ((1, 12), ("jan", "FEB", "Mar", "dec")),
    ((0, 7), ("sun", "MON", "Sat", "fri")),
)
NUMBERS = (
    "0",
    "00",
    "007",
    "+5",
    "-1",
    "60",
    "99",
    "2147483648",
    "9223372036854775808",
    "9" * 30,
    "0" * 5000,
    "9" * 5000,
)
JUNK = (
    "",
    "L",
    "W",
    "5#2",
    "H",
    "R",
    "x",
    "*",
    "?",
    "-",
    "/",
    ",",
    "\u0661",
    "\uff15",
    "\xb2",
    "\x00",
    "\x1c",
    "\ud800",
    "🕐",
    "1_0",
    "1e1",
    " ",
    "%",
)
ZONE_NAMES = (
    "UTC",
    "",
    "Local",
    "Europe/Berlin",
    "Nowhere",
    "../etc",
    "/etc",
    "Europe",
    "zone.tab",
    "a" * 5000,
    "\x00",
    "\ud800",
    ".",
    "é",
)
SPACES = (" ", "  ", "\t", "\n", "\u00a0", "\u3000", "\x1f", "\u200b", "")
DESCRIPTORS = (
    "@daily",
    "@hourly",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
    "@midnight",
    "@reboot",
    "@Daily",
    "@",
    "@every",
)
UNITS = ("h", "m", "s", "ms", "us", "\xb5s", "\u03bcs", "ns", "d", "", "H", " ", "hm")

HELP = "specs that were made up at random"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--specs", type=int, default=SPECS, help="default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    return prove(options.specs, options.seed)


def prove(count: int, seed: int) -> Ledger:
    """Try `count` specs."""
    ledger = Ledger(f"made-up cron specs: {count:,}, seed {seed}")
    maker, began = Maker(seed), time.monotonic()
    answers: Counter[str] = Counter()
    faults, slowest = [], (0.0, "")
    for _ in range(count):
        spec = maker.spec()
        started = time.thread_time()
        try:
            answers[_tried(spec, maker)] += 1
        except Exception as error:
            faults.append(f"{spec[:200]!r}: {error!r}")
        slowest = max(slowest, (time.thread_time() - started, spec[:200]))
    ledger.enter(**dict(sorted(answers.items())), faults=len(faults))
    ledger.enter(slowest_in_CPU_seconds=slowest[0], slowest_spec=repr(slowest[1]), seconds=time.monotonic() - began)
    ledger.promise("no exception but CronError", not faults, faults[:10])
    ledger.promise("each refusal says why", not answers["refused without a word"])
    ledger.promise(f"none takes {SLOWEST} s", slowest[0] < SLOWEST, slowest)
    ledger.promise(
        "of each kind there are some", min(answers[kind] for kind in ("refused", "due", "never")) > 0, answers
    )
    return ledger


def _tried(spec: str, maker: "Maker") -> str:
    after, zone, dst = maker.moment(), maker.pick(ZONES), maker.pick(POLICIES)
    try:
        parsed = parse(spec)
    except CronError as error:
        return "refused" if str(error) else "refused without a word"
    assert parsed.words()
    tick = parsed.next(after, zone, dst)
    if tick is None:
        return "never"
    assert tick > after
    assert tick.tzinfo is UTC
    return "due"


class Maker:
    """Makes specs: right ones, nearly right ones, and junk."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.pick = self._random.choice

    def moment(self) -> datetime:
        start = datetime(self.pick(YEARS), 1, 1, tzinfo=UTC)
        return start + timedelta(seconds=self._random.randrange(366 * 86400), microseconds=self.pick((0, 1, 999_999)))

    def spec(self) -> str:
        kinds: tuple[Callable[[], str], ...] = (self._fields, self._every, self._descriptor, self._junk)
        spec = self._random.choices(kinds, (80, 8, 4, 8))[0]()
        if self._chance(0.1):
            spec = f"{self.pick(('TZ=', 'CRON_TZ=', 'tz='))}{self.pick(ZONE_NAMES)}{self.pick(SPACES)}{spec}"
        return self._mutated(spec) if self._chance(0.2) else spec

    def _fields(self) -> str:
        space = self.pick(SPACES) if self._chance(0.1) else " "
        return space.join(self._field(*field) for field in FIELDS)

    def _field(self, bounds: tuple[int, int], names: tuple[str, ...]) -> str:
        many = self._random.choices((1, 2, 3, 200), (80, 12, 7.9, 0.1))[0]
        return ",".join(self._part(bounds, names) for _ in range(many))

    def _part(self, bounds: tuple[int, int], names: tuple[str, ...]) -> str:
        if self._chance(0.3):
            text = self.pick(("*", "?"))
        else:
            ends = sorted(self._random.randint(*bounds) for _ in range(2))
            text = f"{ends[0]}-{ends[1]}" if self._chance(0.3) else self._value(str(ends[0]), names)
        return f"{text}/{self._value(str(self._random.randint(1, 9)), ())}" if self._chance(0.25) else text

    def _value(self, usual: str, names: tuple[str, ...]) -> str:
        if names and self._chance(0.3):
            return self.pick(names)
        return self.pick(NUMBERS + JUNK) if self._chance(0.02) else usual

    def _every(self) -> str:
        return "@every " + "".join(self._duration() for _ in range(self._random.randint(0, 3)))

    def _duration(self) -> str:
        number = self.pick(NUMBERS) if self._chance(0.1) else str(self._random.randint(0, 5000))
        return f"{self.pick(('', '', '-', '+', '.'))}{number}{self.pick(('', '', '.5', '.'))}{self.pick(UNITS)}"

    def _descriptor(self) -> str:
        return self.pick(DESCRIPTORS)

    def _junk(self) -> str:
        return "".join(self.pick(JUNK + NUMBERS + SPACES + DESCRIPTORS) for _ in range(self._random.randint(0, 12)))

    def _mutated(self, spec: str) -> str:
        place = self._random.randint(0, len(spec))
        return spec[:place] + self.pick(JUNK + SPACES) + spec[place + self._random.randint(0, 2) :]

    def _chance(self, part: float) -> bool:
        return self._random.random() < part
