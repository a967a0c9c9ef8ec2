"""What a child reports to its supervisor."""

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from django_machinery.worker.figures import Figures, resident_memory
from django_machinery.worker.pipes import Report, ReportReader, ReportWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for file in (read, write):
        with suppress(OSError):
            os.close(file)


def test_reports_arrive_as_they_were_made(pipe: tuple[int, int]):
    reader, writer = ReportReader(pipe[0]), ReportWriter(pipe[1])
    reports = [Report(Figures("a", 1, 2, 3, 4)), Report(Figures("a", 0, 5, 3, 4), gone=True)]
    for report in reports:
        writer.write(report)
    assert list(reader.read()) == reports
    assert list(reader.read()) == []


def test_a_line_that_comes_in_pieces_is_one_report(pipe: tuple[int, int]):
    reader = ReportReader(pipe[0])
    line = b'{"token": "a", "busy": 1, "done": 2, "failed": 3, "rss": 4, "gone": false, "ends_by": 7.5}\n'
    os.write(pipe[1], line[:20])
    assert list(reader.read()) == []
    os.write(pipe[1], line[20:])
    assert list(reader.read()) == [Report(Figures("a", 1, 2, 3, 4), ends_by=7.5)]


def test_the_end_of_the_pipe_is_told(pipe: tuple[int, int]):
    os.close(pipe[1])
    with pytest.raises(EOFError):
        list(ReportReader(pipe[0]).read())


def test_a_supervisor_that_does_not_read_or_is_gone_hinders_nothing(pipe: tuple[int, int]):
    writer = ReportWriter(pipe[1])
    for _ in range(5000):
        writer.write(Report(Figures("a")))
    os.close(pipe[0])
    writer.write(Report(Figures("a")))


def test_memory_is_told_in_bytes():
    assert 10_000_000 < resident_memory() < 10_000_000_000
