"""What a task may say of its progress."""

from typing import Any

import pytest
from django.utils.translation import gettext_lazy

from django_machinery import Signature, TaskContext


@pytest.fixture
def context() -> TaskContext:
    return TaskContext.direct(Signature.of("crawl"))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ((1,), (1, None, "")),
        ((0, 2**63 - 1, "all"), (0, 2**63 - 1, "all")),
        ((True, 2), (1, 2, "")),
        ((1, 2, "x" * 300), (1, 2, "x" * 255)),
        ((1, 2, "a\0b\ud800"), (1, 2, "a\ufffdb?")),
        ((1, 2, gettext_lazy("well")), (1, 2, "well")),
    ],
)
def test_progress_is_kept_as_every_database_holds_it(context: TaskContext, said: Any, kept: Any):
    context.progress(*said)
    assert context._run.progress == kept


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (("half", 2), TypeError),
        ((0.5, 1), TypeError),
        ((None,), TypeError),
        ((1, "2"), TypeError),
        ((1, 2, None), TypeError),
        ((1, 2, b"note"), TypeError),
        ((2**63, 1), ValueError),
        ((1, 2**63), ValueError),
        ((-1, 1), ValueError),
    ],
)
def test_what_no_database_could_hold_is_the_tasks_error(context: TaskContext, said: Any, error: type[Exception]):
    with pytest.raises(error):
        context.progress(*said)
    assert context._run.progress is None
