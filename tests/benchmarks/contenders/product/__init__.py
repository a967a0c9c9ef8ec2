"""django_machinery, as a project uses it."""
