"""What can be counted in Python source: pure functions from bytes to figures."""

import ast
import io
import keyword
import tokenize
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Counts:
    """The figures of one file."""

    lines: int
    identifiers: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    """Why Python cannot read the source. A finding about the file: a package may well ship broken examples."""

    @property
    def total(self) -> int:
        """How many times any identifier is used."""
        return sum(self.identifiers.values())


def count_identifiers(source: bytes) -> Counts:
    """Lines, and how often each name occurs that is not a keyword."""
    lines = len(source.splitlines())
    try:
        tokens = tokenize.tokenize(io.BytesIO(source).readline)
        names = Counter(token.string for token in tokens if token.type == tokenize.NAME)
    except (SyntaxError, tokenize.TokenError) as error:
        return Counts(lines, error=str(error)[:500])
    return Counts(lines, {name: count for name, count in names.items() if not keyword.iskeyword(name)})


def find_longest_function(source: bytes) -> tuple[str, int]:
    """Name and number of lines of the longest function, the first of equals; ("", 0) where there is none.

    Raises SyntaxError.
    """
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = [(function.name, (function.end_lineno or 0) - function.lineno + 1) for function in functions]
    return max(lengths, key=lambda pair: pair[1], default=("", 0))
