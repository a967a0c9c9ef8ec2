import pytest

from testproject.codeindex.parsing import Counts, count_identifiers, find_longest_function

SOURCE = b"""# coding: utf-8
from shop import Order

def total(order, rate=1):
    return order.price * rate
"""


def test_names_are_counted_and_keywords_are_not():
    counts = count_identifiers(SOURCE)
    assert counts.identifiers == {"shop": 1, "Order": 1, "total": 1, "order": 2, "rate": 2, "price": 1}
    assert counts.total == 8
    assert counts.lines == 5


def test_the_encoding_that_a_file_declares_is_honoured():
    assert count_identifiers("# coding: latin-1\ngröße = 1".encode("latin-1")).identifiers == {"größe": 1}


def test_an_empty_file_has_nothing_in_it():
    assert count_identifiers(b"") == Counts(0, {})


@pytest.mark.parametrize("source", [b"def (", b"\xff\xfe broken", b"if x:\n\ty\n        z\n  w", b"'''"])
def test_source_that_python_cannot_read_is_a_finding(source):
    counts = count_identifiers(source)
    assert counts.error
    assert counts.identifiers == {}
    assert counts.lines == len(source.splitlines())


def test_the_longest_function_is_found_at_any_depth():
    source = b"def short(): pass\n\nclass A:\n    async def long(self):\n        x = 1\n        return x\n"
    assert find_longest_function(source) == ("long", 3)


def test_without_functions_there_is_no_longest():
    assert find_longest_function(b"x = 1") == ("", 0)
