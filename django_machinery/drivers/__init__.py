"""A folder a technology. Drivers are loaded by dotted path from the scheme of a URL and imported by nobody."""
