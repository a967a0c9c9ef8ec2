"""What a browser would make of a page: which elements with which attributes, and where links lead."""

from html.parser import HTMLParser

URLS = ("href", "src", "action", "formaction", "data-refresh", "srcset", "xlink:href")


class Structure(HTMLParser):
    """The elements of a page; texts and the values of attributes are left out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[tuple[str, ...]] = set()
        self.links: set[str] = set()
        self.counts: dict[str, int] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, *sorted(name for name, _ in attrs)))
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.links |= {value or "" for name, value in attrs if name in URLS}

    @property
    def foreign_links(self) -> set[str]:
        """Links that do not stay on this site, or run a script."""
        return {link for link in self.links if link and (link[0] not in "/?#" or link.startswith("//"))}
