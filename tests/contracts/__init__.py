"""What every broker, result backend, lock and unit must do: the pages of `django_machinery.seams` as tests.

A driver runs a contract by a subclass that supplies its fixtures: `class TestOrmBroker(BrokerContract)`. What its store
cannot do, by its own flags, is skipped with the flag's name as the reason.
"""
