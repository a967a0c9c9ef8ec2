"""The wire: what a task queue shares with Go's machinery, byte for byte. Pure Python; imports no Django.

`codec` turns signatures, states and groups into bytes and back; `go_types` converts arguments and results.
"""
