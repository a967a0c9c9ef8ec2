"""How values are shown: times, durations, sizes, states. What comes from a message is escaped, here or in templates."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _

from django_machinery.inspector.inspector import SILENT
from django_machinery.protocol.states import STATES

if TYPE_CHECKING:
    from django_machinery.models import WorkerProcess

MISSING = "\N{EN DASH}"
NAMED = '<a class="mq-name" href="{}">{}</a><code class="mq-args">{}</code>'
"""The column that names a row: address, name, and what tells it from others."""
_WORD = re.compile(r"[^._:/@-]+[._:/@-]*|[._:/@-]+")


def duration(seconds: float | None) -> str:
    """A span of time in two units at most: "830 ms", "12.3 s", "4 min 5 s", "3 h 20 min", "2 d 4 h"."""
    if seconds is None:
        return MISSING
    if seconds < 0:
        return "0 ms"
    if seconds < 0.9995:
        return f"{number_format(round(seconds * 1000))} ms"
    if seconds < 59.95:
        return f"{number_format(round(seconds, 1), 1)} s"
    return _two_units(round(seconds))


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from one time to another, if both are known."""
    return None if start is None or end is None else (end - start).total_seconds()


def ago(moment: datetime | None) -> str | SafeString:
    """How long ago, with the time itself for those who ask."""
    if moment is None:
        return MISSING
    seconds = (now() - moment).total_seconds()
    if abs(seconds) < 1:
        text = _("now")
    else:
        text = (_("in %s") if seconds < 0 else _("%s ago")) % _one_unit(round(abs(seconds)))
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), clock(moment), text)


def clock(moment: datetime | None) -> str:
    """Date and time of day to the millisecond, in the zone of the reader."""
    return MISSING if moment is None else localtime(moment).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def number(count: int) -> str:
    """A number with its thousands apart."""
    return number_format(count, force_grouping=True)


def megabytes(count: int) -> str:
    """Bytes as people speak of memory."""
    return f"{number_format(round(count / 2**20))} MiB" if count else MISSING


def breakable(name: str) -> SafeString:
    """A dotted name, or an address, that a narrow column breaks between its words."""
    return format_html_join("", "{}<wbr>", ((part,) for part in _WORD.findall(name)))


def pill(state: str, reason: str = "") -> SafeString:
    """A state in its colour, and the reason of a failure."""
    kind = state.lower() if state in STATES else "other"
    why = format_html(' <span class="mq-reason">{}</span>', reason) if reason else ""
    return format_html('<span class="mq-pill mq-{}">{}</span>{}', kind, state or MISSING, why)


def life(worker: WorkerProcess) -> SafeString:
    """Whether a worker process lives, as a pill."""
    silent = (now() - worker.beat_at).total_seconds() > SILENT
    kind, word = ("failure", _("lost")) if worker.lease_until is None or silent else ("success", _("alive"))
    if kind == "success" and worker.stopping:
        kind, word = "retry", _("stopping")
    return format_html('<span class="mq-pill mq-{}">{}</span>', kind, word)


def one_line(arguments: list[tuple[str, str]], limit: int = 120) -> str:
    """Arguments as in a call, cut to `limit` characters."""
    text = ", ".join(value if name.isdigit() else f"{name}={value}" for name, value in arguments)
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def pretty(text: str) -> str:
    """JSON, indented; any other text as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _units() -> list[tuple[int, str]]:
    return [(86400, _("d")), (3600, _("h")), (60, _("min")), (1, _("s"))]


def _one_unit(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _units() if seconds >= size or size == 1)
    return f"{seconds // size} {unit}"


def _two_units(seconds: int) -> str:
    for (size, unit), (smaller, next_unit) in zip(_units(), _units()[1:], strict=False):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            part = rest // smaller
            return f"{whole} {unit} {part} {next_unit}" if part else f"{whole} {unit}"
    return f"{seconds} {_('s')}"
