"""The program that does the benchmark's steps with django_machinery."""

import django

from tests.benchmarks.steps import serve

if __name__ == "__main__":
    django.setup()
    from tests.benchmarks.contenders.product.client import Product  # not before the apps are loaded

    serve(Product())
