"""Proofs of what the queue promises: commands that attack it, keep a ledger and print it.

`python -m tests.proofs --help` lists them. The test suite runs each at a smaller size; the figures of the full size are
in docs/explanation/reliability.md. A proof does in any process what its seed says, but not in the same instants: which
messages a kill hits depends on the machine.
"""
