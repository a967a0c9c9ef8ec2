"""`Server`: what sends tasks and workflows, and hands workers what they need (Go: server.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Unpack

from django_machinery import signals
from django_machinery.exceptions import DecodeError, EncodeError
from django_machinery.protocol import workflows
from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.workflows import Chain, Chord, Group
from django_machinery.registry import PeriodicDefinition, PeriodicOptions, Registry, TaskDefinition, tasks
from django_machinery.results import AsyncResult, ChainResult, ChordResult, GroupResult, Lookup
from django_machinery.server.announced import with_later_steps
from django_machinery.server.refusals import Refusals
from django_machinery.server.sender import Batch, NewGroup, Sender

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.models.dead_letter import DeadLetterManager
    from django_machinery.models.message import MessageManager
    from django_machinery.protocol.signature import Signature
    from django_machinery.seams.backend import ResultBackend
    from django_machinery.seams.broker import Broker, Consumer, Waiting
    from django_machinery.seams.lock import Lock
    from django_machinery.seams.unit import Outcome, Unit

PrePublishHandler = Callable[["Signature"], "Signature | None"]


class Server:
    """A broker, a result backend, a lock and a registry. One object per settings alias and process; thread-safe."""

    def __init__(
        self,
        config: ServerConfig,
        broker: Broker,
        backend: ResultBackend,
        lock: Lock,
        outbox: MessageManager,
        dead_letters: DeadLetterManager,
    ) -> None:
        self.alias = config.alias
        self.config = config
        self.broker = broker
        self.backend = backend
        self.lock = lock
        self.registry = Registry(tasks)
        refusals = Refusals(backend, self.dispatch, self.bury, self._tell_refused)
        self._sender = Sender(config, broker, backend, outbox, refusals)
        self.lookup = Lookup(backend, self._sender.kept)
        """Where handles look states up."""
        self._dead_letters = dead_letters
        self._pre_publish: PrePublishHandler | None = None

    @property
    def supports_atomic(self) -> bool:
        """Can a task's writes and its outcome be one transaction? So they can be where the sender itself runs it."""
        broker, store = self.broker, self.broker.store
        return broker.executes_inline or (
            broker.supports_transactions and store is not None and store == self.backend.store
        )

    def register_task(self, name: str, func: Callable[..., Any], **options: Any) -> TaskDefinition:
        """Register a callable on this server alone; `options` are those of `@task`. Raises `TaskAlreadyRegistered`."""
        definition = TaskDefinition(name=name, func=func, server=self.alias, **options)
        self.registry.register(definition)
        return definition

    def register_tasks(self, named: Mapping[str, Callable[..., Any]]) -> None:
        """`register_task` for each name."""
        for name, func in named.items():
            self.register_task(name, func)

    def get_registered_task(self, name: str) -> TaskDefinition:
        """The task of that name or alias. Raises `TaskNotRegistered`."""
        return self.registry.get(name)

    def is_task_registered(self, name: str) -> bool:
        """Is there a task of that name or alias?"""
        return self.registry.find(name) is not None

    def get_registered_task_names(self) -> list[str]:
        """All names and aliases, sorted."""
        return sorted(self.registry.names)

    def set_pre_publish_handler(self, handler: PrePublishHandler | None) -> None:
        """Call `handler(signature)` before each send; what it returns, unless None, is sent (Go: SetPreTaskHandler)."""
        self._pre_publish = handler

    def send_task(self, signature: Signature, *, database: str | None = None) -> AsyncResult[Any]:
        """Send one task; the handle has its UUID at once. `database`: the alias whose transaction the send waits for.

        Raises `EncodeError`, `MessageTooLarge`, `BrokerUnavailable`, `BackendUnavailable`.
        """
        ready = self._complete(signature)
        block = self._send(Batch([ready], with_later_steps(ready)), database)
        return self._result(ready, block, database)

    def send_chain(self, chain: Chain, *, database: str | None = None) -> ChainResult:
        """Send the first step, which carries the others. Raises as `send_task`; `EncodeError` for none, or over 200."""
        if not chain:
            raise EncodeError("a chain without steps has nothing to send")
        steps = workflows.link(chain)
        first = self._complete(steps[0])
        block = self._send(Batch([first], with_later_steps(first)), database)
        return ChainResult([self._result(step, block, database, carrier=first.uuid) for step in steps])

    def send_group(self, group: Group, send_concurrency: int = 0, *, database: str | None = None) -> GroupResult:
        """Send all members at once. `send_concurrency` is Go's and needs no value: members are sent in batches."""
        members = [self._complete(member) for member in workflows.members(group)]
        return self._send_members(members, None, database) if members else GroupResult("", (), self.lookup)

    def send_chord(self, chord: Chord, send_concurrency: int = 0, *, database: str | None = None) -> ChordResult:
        """Send a group whose results become the arguments of the callback when all members have succeeded.

        With no members the callback is sent at once. `send_concurrency` as in `send_group`.
        """
        callback, members = workflows.chord_members(chord)
        callback = self._complete(callback)
        if not members:
            result = self.send_task(callback, database=database)
            return ChordResult(GroupResult("", (), self.lookup), result)
        ready = [self._complete(member.replace(chord_callback=callback)) for member in members]
        group = self._send_members(ready, callback, database)
        return ChordResult(group, group.results[0].sibling(callback.uuid, callback.name))

    def register_periodic_task(
        self, spec: str, name: str, signature: Signature, **options: Unpack[PeriodicOptions]
    ) -> None:
        """Send a task whenever `spec` says so, from every worker of this server together once (Go: server.go:326).

        `name` tells the schedules of a server apart: another one of that name is replaced. Raises `CronError` for a
        spec that is refused and `ConfigurationError` for another option.
        """
        self._register_periodic("task", spec, name, (signature,), options)

    def register_periodic_chain(
        self, spec: str, name: str, *signatures: Signature, **options: Unpack[PeriodicOptions]
    ) -> None:
        """The same for a chain (server.go:352)."""
        self._register_periodic("chain", spec, name, signatures, options)

    def register_periodic_group(
        self, spec: str, name: str, send_concurrency: int, *signatures: Signature, **options: Unpack[PeriodicOptions]
    ) -> None:
        """The same for a group (server.go:381). `send_concurrency` is Go's and not used."""
        self._register_periodic("group", spec, name, signatures, options)

    def register_periodic_chord(
        self,
        spec: str,
        name: str,
        send_concurrency: int,
        callback: Signature,
        *signatures: Signature,
        **options: Unpack[PeriodicOptions],
    ) -> None:
        """The same for a chord (server.go:410). `send_concurrency` is Go's and not used."""
        self._register_periodic("chord", spec, name, (*signatures, callback), options)

    def dispatch(self, signatures: Sequence[Signature]) -> None:
        """Send follow-ups and retries, whose UUIDs are fixed: harmless when a crash makes it happen twice.

        One that is larger than messages may be is buried instead, and its task has failed.
        """
        ready = [self._complete(signature) for signature in signatures]
        self._announce(self._sender.send_follow_ups(ready))

    def unit(self, consumer: Consumer) -> Unit:
        """What commits the outcomes of that consumer's deliveries."""
        return self.broker.unit(consumer, self.backend, self.dispatch, self.bury)

    def decode(self, body: bytes) -> Signature:
        """A message within the configured limits. Raises `DecodeError`."""
        return decode_signature(body, self.config.limits)

    def bury(self, outcome: Outcome) -> None:
        """Keep a message that will not be run as a dead letter; a second burial of the same delivery is none."""
        self._dead_letters.bury(self.alias, outcome)

    def requeue_dead(self, ids: Iterable[int]) -> int:
        """Send dead letters again that can be decoded; returns how many. Their tasks start anew."""
        count = 0
        for letter in self._dead_letters.waiting(self.alias, ids):
            try:
                signature = self.decode(bytes(letter.body))
            except DecodeError:
                continue
            self.start_anew([signature])
            letter.mark_requeued()
            count += 1
        return count

    def start_anew(self, signatures: Sequence[Signature]) -> None:
        """Send tasks again that have ended: each under its UUID in its next generation, with new UUIDs for all that it
        triggers. Raises as `send_task`.
        """
        ready = [workflows.remint(signature) for signature in signatures]
        changes = [change for signature in ready for change in with_later_steps(signature)]
        self._send(Batch(ready, changes), None)

    def get_pending_tasks(self, queue: str = "", limit: int = 1000) -> list[Signature]:
        """What is ready on a queue, by default the default one, in the order in which it would be handed out.

        What cannot be decoded is left out (Go: GetPendingTasks). Raises `NotImplementedError` where the broker cannot
        list messages (`supports_listing`).
        """
        return self._decoded(self.broker.pending(queue or self.config.default_queue, limit))

    def get_delayed_tasks(self, limit: int = 1000) -> list[Signature]:
        """What the broker keeps until its ETA, the soonest first (Go: GetDelayedTasks); see `get_pending_tasks`."""
        return self._decoded(self.broker.delayed(limit))

    def hasten(self, uuids: Sequence[str]) -> int:
        """Make delayed messages of these tasks due now, wherever they wait; returns how many."""
        return self.broker.hasten(uuids) + self._sender.hasten(uuids)

    def relay_outbox(self, limit: int = 500) -> int:
        """Publish messages that a crash or a delay left in the outbox and that are due; returns how many."""
        return self._sender.relay(limit)

    def close(self) -> None:
        """Free the connections of broker, backend and lock. The server may be used again."""
        for part in (self.broker, self.backend, self.lock):
            part.close()

    def _decoded(self, messages: Iterable[Waiting]) -> list[Signature]:
        signatures = []
        for message in messages:
            with suppress(DecodeError):
                signatures.append(self.decode(message.body))
        return signatures

    def _register_periodic(
        self,
        kind: Literal["task", "group", "chain", "chord"],
        spec: str,
        name: str,
        signatures: tuple[Signature, ...],
        options: PeriodicOptions,
    ) -> None:
        self.registry.register_periodic(PeriodicDefinition(name, spec, kind, signatures, self.alias, **options))

    def _complete(self, signature: Signature) -> Signature:
        """A copy with all that a message needs: UUIDs all the way down, the queue, headers (Go: server.go:155-166)."""
        if self._pre_publish is not None:
            signature = self._pre_publish(signature) or signature
        return workflows.complete(signature, self.config.default_queue)

    def _send_members(
        self, members: Sequence[Signature], callback: Signature | None, database: str | None
    ) -> GroupResult:
        changes = [change for index, member in enumerate(members) for change in with_later_steps(member, index)]
        if callback is not None:
            changes.extend(with_later_steps(callback))
        group = NewGroup(members[0].group_uuid, [member.uuid for member in members], callback)
        block = self._send(Batch(members, changes, group), database)
        return GroupResult(group.uuid, [self._result(m, block, database) for m in members], self.lookup)

    def _send(self, batch: Batch, database: str | None) -> Any:
        block = self._sender.send(batch, database)
        self._announce(batch.signatures)
        return block

    def _announce(self, sent: Sequence[Signature]) -> None:
        if signals.task_sent.receivers:
            for signature in sent:
                signals.task_sent.send_robust(Server, server=self.alias, signature=signature)

    def _tell_refused(self, outcome: Outcome) -> None:
        if signals.message_rejected.receivers and outcome.burial is not None:
            queue, burial = outcome.delivery.queue, outcome.burial
            told = {"queue": queue, "reason": burial.reason, "detail": burial.detail}
            signals.message_rejected.send_robust(Server, server=self.alias, **told)

    def _result(self, signature: Signature, block: Any, database: str | None, *, carrier: str = "") -> AsyncResult[Any]:
        result = AsyncResult[Any](signature.uuid, self.alias, lookup=self.lookup, name=signature.name, carrier=carrier)
        if block is not None:
            result.sent_in(database or self.config.database, block)
        return result
