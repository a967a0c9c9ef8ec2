"""The stores that the drivers' tests run on."""

from tests.services.redis_stores import redis_store, redis_stores

__all__ = ["redis_store", "redis_stores"]
