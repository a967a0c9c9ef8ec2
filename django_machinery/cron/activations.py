"""From wall times to instants: where a zone's offset changes, the policy decides."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

from django_machinery.cron.offsets import Piece, pieces
from django_machinery.cron.policy import GAP_NEXT, GAP_SKIP, OVERLAP_BOTH, OVERLAP_FIRST, DstPolicy
from django_machinery.cron.walls import WallTimes

LOOK_BACK = timedelta(days=2)
"""No clock was ever put back by more than a day, so what it showed before then is not shown again."""
AS_SHOWN = DstPolicy(GAP_SKIP, OVERLAP_BOTH)
RESOLUTION = datetime.resolution


def activations(walls: WallTimes, start: datetime, end: datetime, zone: tzinfo, dst: DstPolicy) -> Iterator[datetime]:
    """Instants of `walls` in `zone`, start < t <= end, in order. All in UTC, without a zone."""
    policy = AS_SHOWN if walls.hourly else dst
    reached = None
    for piece in pieces(zone, start - LOOK_BACK, end):
        opens = piece.start + piece.offset
        for instant in _in_piece(walls, piece, reached or opens, start, policy):
            if instant > end:
                return
            yield instant
        reached = max(reached or opens, piece.end + piece.offset)


def _in_piece(
    walls: WallTimes, piece: Piece, reached: datetime, start: datetime, policy: DstPolicy
) -> Iterator[datetime]:
    """Those of one piece; before it, the clock had shown all up to `reached`."""
    begin = opens = piece.start + piece.offset
    if policy.overlap == OVERLAP_FIRST:
        begin = max(begin, reached)
    if policy.gap == GAP_NEXT and piece.start > start and any(walls.between(reached, opens)):
        yield piece.start
        begin = opens + RESOLUTION
    begin = max(begin, start + piece.offset + RESOLUTION)
    for wall in walls.between(begin, piece.end + piece.offset):
        yield wall - piece.offset
