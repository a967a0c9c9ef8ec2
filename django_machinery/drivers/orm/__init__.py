"""Broker, result backend and lock on a Django database: `orm://alias`."""
