"""How fast the product is beside its floors and its peers: `python -m tests.benchmarks --help`."""
