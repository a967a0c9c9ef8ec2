"""Microseconds to encode and decode one signature: `python -m tests.benchmarks.wire`.

Each figure is the best of several rounds, as the machine has other work; the floor is msgspec alone, unchecked.
"""

from __future__ import annotations

import argparse
import sys
import timeit
from collections.abc import Callable

import msgspec

from django_machinery.protocol.codec import decode_signature, encode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.workflows import Chain, complete, link

SIGNATURES = {
    "two integers": Signature.of("add", 1, 2),
    "texts beyond ASCII": Signature.of("mail", "José <jose@example.org>", "Olá 🎉"),
    "JSON": Signature.of("index", {"path": "a/b.py", "size": 1024, "tags": ["x", "y"], "ratio": 0.25}),
    "1,000 floats": Signature.of("mean", [number / 7 for number in range(1000)]),
    "chain of 20": link(Chain(*[Signature.of("add", 1, 2)] * 20))[0],
}


def main(arguments: list[str] | None = None) -> None:
    """Print a table: each kind of signature, its bytes, and microseconds to encode and decode it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.2, help="about how long each figure is measured")
    seconds = parser.parse_args(arguments).seconds
    row("signature", "bytes", "encode", "decode", "others'", "floor")
    for name, signature in SIGNATURES.items():
        row(name, *figures(complete(signature, "machinery_tasks"), seconds))


def figures(signature: Signature, seconds: float) -> tuple[str, ...]:
    """Its size, and the times to encode it, to decode it, to decode it as others may write it, and the floor."""
    data = encode_signature(signature)
    otherwise = data.replace(b'"Name":', b'"Name": ', 1)
    decode, encode = msgspec.json.Decoder(Signature).decode, msgspec.json.encode
    measured = (
        best(lambda: encode_signature(signature), seconds),
        best(lambda: decode_signature(data), seconds),
        best(lambda: decode_signature(otherwise), seconds),
        best(lambda: encode(decode(data)), seconds),
    )
    return str(len(data)), *(f"{value:.2f}" for value in measured)


def best(action: Callable[[], object], seconds: float, rounds: int = 7) -> float:
    """Microseconds an action takes in the best of several rounds."""
    timer = timeit.Timer(action)
    number = max(1, round(seconds / rounds / (timer.timeit(10) / 10)))
    return min(timer.repeat(rounds, number)) / number * 1e6


def row(name: str, *columns: str) -> None:
    sys.stdout.write(name.ljust(20) + "".join(column.rjust(10) for column in columns) + "\n")


if __name__ == "__main__":
    main()
