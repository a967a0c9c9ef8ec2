"""Two brokers that nobody should use: they keep the seam honest, because they are built like no database.

`PushBroker` is driven by its server, like RabbitMQ; `LeasingBroker` is polled and leases each message, like SQS.
"""

DRIVERS = {
    "push": {"broker": "tests.toys.push.PushBroker"},
    "leasing": {"broker": "tests.toys.leasing.LeasingBroker"},
}
"""For `MACHINERY[...]["DRIVERS"]`."""
