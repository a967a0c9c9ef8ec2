"""Redis as broker, result backend and lock: the keys of Go's machinery, and keys beside them that Go never reads.

`keys` says what is kept where, `scripts` does in one step what must be one, `consumer` claims, `unit` commits.
"""
