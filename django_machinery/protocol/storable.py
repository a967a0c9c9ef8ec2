"""Text that every store can hold."""


def storable(text: str) -> str:
    """The text without what some stores refuse: NUL and lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
