"""The source stays small enough to be read."""

from tests.guards.package import body_lines, dotted, functions, source_files

MODULE_LINES = 300
FUNCTION_LINES = 40
USUAL_FUNCTION_LINES = 15


def test_no_module_is_longer_than_300_lines():
    lengths = {dotted(path): len(path.read_text().splitlines()) for path in source_files()}
    long = {name: length for name, length in lengths.items() if length > MODULE_LINES}
    assert not long, "Split these modules, one actor a file"


def test_no_function_body_is_longer_than_40_lines():
    long = {
        f"{dotted(path)}.{function.name}": length
        for path in source_files()
        for function in functions(path)
        if (length := body_lines(function)) > FUNCTION_LINES
    }
    assert not long, "Give the steps of these functions names of their own"


def test_nine_functions_in_ten_have_at_most_15_lines():
    lengths = sorted(body_lines(function) for path in source_files() for function in functions(path))
    assert lengths[len(lengths) * 9 // 10] <= USUAL_FUNCTION_LINES, "Functions have grown: split the longest ones"
