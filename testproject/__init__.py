"""A Django project that uses the queue for real, on nothing but SQLite."""
