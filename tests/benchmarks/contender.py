"""What every queue under measurement offers to the benchmark."""

from abc import ABC, abstractmethod


class Contender(ABC):
    """One queue on one store, as a process sees it that sends tasks and waits for results.

    The task adds two integers. Tasks for the workers go to one queue, those that only measure the sending to another,
    which no worker consumes.
    """

    @abstractmethod
    def create(self) -> None:
        """Make the tables in an empty database."""

    @abstractmethod
    def fill(self, count: int) -> None:
        """Queue `count` tasks for the workers; how fast is not measured."""

    @abstractmethod
    def send_singly(self, count: int) -> None:
        """Send `count` tasks to the other queue, one call each, each durable before the next is sent."""

    @abstractmethod
    def send_in_bulk(self, count: int) -> None:
        """Send `count` tasks to the other queue in the way meant for many, 1,000 at a time."""

    @abstractmethod
    def waiting(self) -> int:
        """How many of the workers' tasks have not ended."""

    def drained(self) -> bool:
        """Whether all of the workers' tasks have ended; cheap, because it is asked often."""
        return not self.waiting()

    @abstractmethod
    def ended_well(self) -> int:
        """How many of the workers' tasks have succeeded, with their results stored where the queue stores any."""

    @abstractmethod
    def round_trip(self) -> None:
        """Send one task to the workers and return when its result is here."""

    def close(self) -> None:  # noqa: B027 - most hold nothing that would keep their process from ending
        """Free what would keep the process from ending."""
