import io

import pytest
from django.core.management.base import OutputWrapper

from testproject.codeindex.progress_bar import ProgressBar, progress_line


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("done", "seconds", "figures"),
    [
        (0, 0.0, "0/2,000  0 tasks/s  ETA ?"),
        (500, 2.0, "500/2,000  250 tasks/s  ETA 6 s"),
        (2000, 4.0, "2,000/2,000  500 tasks/s  ETA 0 s"),
    ],
)
def test_the_line_shows_done_rate_and_time_left(done, seconds, figures):
    assert progress_line(done, 2000, seconds).endswith(f"] {figures}")


def test_the_bar_fills_in_proportion():
    assert progress_line(1, 2, 1.0).startswith(f"[{'#' * 15}{'-' * 15}]")


def test_a_terminal_gets_one_line_that_is_drawn_again():
    stream, clock = Terminal(), Clock()
    bar = ProgressBar(OutputWrapper(stream), 10, clock(), clock)
    for done in (1, 5):
        clock.now += 1
        bar.show(done)
    bar.finish(10)
    assert stream.getvalue().count("\r") == 3
    assert stream.getvalue().count("\n") == 1


def test_a_file_gets_plain_lines_and_not_too_many():
    stream, clock = io.StringIO(), Clock()
    bar = ProgressBar(OutputWrapper(stream), 100, clock(), clock)
    for done in range(100):
        clock.now += 0.05
        bar.show(done)
    bar.finish(100)
    lines = stream.getvalue().splitlines()
    assert "\r" not in stream.getvalue()
    assert 5 <= len(lines) <= 7
    assert "100/100" in lines[-1]
