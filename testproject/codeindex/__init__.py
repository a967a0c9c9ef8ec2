"""An index of source code: which identifiers a package uses, how often, and in how many of its files."""
