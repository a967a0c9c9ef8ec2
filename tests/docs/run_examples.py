"""Run the Python blocks that standard input holds, as `manage.py shell` would, in the project of the working directory.

The input is a JSON list of [place, code]. An expression with a comment that is a literal must have that value; with the
comment `raises SomeError` it must raise that. Executed by `tests.docs.project`, never imported.
"""

import ast
import io
import json
import os
import sys
import tokenize

sys.path.insert(0, os.getcwd())
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"

import django

django.setup()


def run(place, code, namespace):
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens(code) if token.type == tokenize.COMMENT}
    for statement in ast.parse(code).body:
        comment = comments.get(statement.end_lineno)
        here = f"{place}, line {statement.lineno} of the block: {ast.unparse(statement)}"
        if isinstance(statement, ast.Expr):
            check(here, statement.value, comment, namespace)
        else:
            exec(compile(ast.Module([statement], []), place, "exec"), namespace)


def tokens(code):
    return tokenize.generate_tokens(io.StringIO(code).readline)


def check(here, expression, comment, namespace):
    raises = comment is not None and comment.startswith("raises ")
    try:
        value = eval(compile(ast.Expression(expression), here, "eval"), namespace)
    except Exception as error:
        if raises and type(error).__name__ == comment.split()[1].rstrip(":"):
            return
        raise
    if raises:
        raise AssertionError(f"{here} did not raise, but gave {value!r}")
    if comment is not None and is_literal(comment) and value != ast.literal_eval(comment):
        raise AssertionError(f"{here} gave {value!r}")


def is_literal(comment):
    try:
        ast.literal_eval(comment)
    except (SyntaxError, ValueError):
        return False
    return True


shared = {"__name__": "__main__"}
for place, code in json.load(sys.stdin):
    run(place, code, shared)
