"""The form field for what a schedule sends: rows of a registered task and its arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from django_machinery.admin.shown import Shown
from django_machinery.conf.urls import HIDDEN
from django_machinery.declare import SendOptions, Task
from django_machinery.exceptions import ArgumentError, EncodeError
from django_machinery.protocol.codec import encode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.registry import Registry, TaskDefinition

SPARE = 3
"""Empty rows after those that are filled."""


class Row(NamedTuple):
    """A task, and its arguments as they are typed: a JSON array, or an object by the names of the parameters."""

    task: str = ""
    arguments: str = ""

    @classmethod
    def of(cls, signature: Signature) -> Row:
        """The row for a signature."""
        return cls._joined(signature, [bytes(arg.value).decode() for arg in signature.args or ()])

    @classmethod
    def masked(cls, signature: Signature, server: str) -> Row:
        """The same for who may not see what is sensitive."""
        arguments = Shown(server, encode_signature(signature)).arguments
        hidden = [HIDDEN] * len(signature.args or ())
        return cls._joined(signature, hidden if arguments is None else [value for _name, value in arguments])

    @classmethod
    def _joined(cls, signature: Signature, values: Sequence[str]) -> Row:
        args = signature.args or ()
        if args and all(arg.name for arg in args):
            pairs = (f"{json.dumps(arg.name)}: {value}" for arg, value in zip(args, values, strict=True))
            return cls(signature.name, f"{{{', '.join(pairs)}}}")
        return cls(signature.name, f"[{', '.join(values)}]" if values else "")


class InvocationsWidget(forms.MultiWidget):
    """A row of two inputs for each task."""

    template_name = "admin/machinery/schedule/invocations.html"

    def __init__(self, choices: Sequence[tuple[str, Any]], rows: int) -> None:
        arguments = {"placeholder": '[1, "text"]', "aria-label": _("Arguments"), "class": "vTextField"}
        pair = (forms.Select({"aria-label": _("Task")}, choices), forms.TextInput(arguments))
        super().__init__([widget for _row in range(rows) for widget in pair])

    def decompress(self, value: Iterable[Row] | None) -> list[str]:
        return [text for row in value or () for text in row]


class InvocationsField(forms.MultiValueField):
    """Cleans to the rows that name a task."""

    default_error_messages: ClassVar = {"required": _("Choose a task.")}

    def __init__(self, names: Iterable[str], filled: int, **options: Any) -> None:
        choices = [("", "—"), *((name, name) for name in sorted(names))]
        rows = filled + SPARE
        pair = (forms.ChoiceField(choices=choices, required=False), forms.CharField(required=False))
        fields = [field for _row in range(rows) for field in pair]
        widget = InvocationsWidget(choices, rows)
        super().__init__(fields, widget=widget, require_all_fields=False, **options)

    def compress(self, data_list: Sequence[str]) -> list[Row]:
        rows = [
            Row(task or "", (arguments or "").strip()) for task, arguments in zip(*[iter(data_list)] * 2, strict=True)
        ]
        for row in rows:
            if row.arguments and not row.task:
                raise ValidationError(_("There are arguments without a task: %s") % row.arguments)
        return [row for row in rows if row.task]


def signature_of(row: Row, registry: Registry, *, partial: bool) -> Signature:
    """The signature that a row stands for; `partial`: a workflow appends further arguments.

    Raises ValidationError for a task that is not registered, and for arguments that it does not take.
    """
    definition = registry.find(row.task)
    if definition is None:
        raise ValidationError(_("%s is not registered on this server.") % row.task)
    args, kwargs = _parsed(row)
    try:
        signature = Task[..., Any](definition, SendOptions()).partial(*args, **kwargs)
        if not partial:
            _check(definition, args, kwargs)
    except (TypeError, EncodeError, ArgumentError) as error:
        raise ValidationError(f"{row.task}: {error}") from error
    return signature


def _check(definition: TaskDefinition, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """As the worker will: nothing missing, and every value of the type that its parameter wants."""
    definition.parameters.to_call(definition.parameters.to_args(args, kwargs))


def _parsed(row: Row) -> tuple[list[Any], dict[str, Any]]:
    try:
        value = json.loads(row.arguments or "[]")
    except (ValueError, RecursionError) as error:
        raise ValidationError(
            _("%(task)s: the arguments are not JSON: %(error)s") % {"task": row.task, "error": error}
        ) from error
    if isinstance(value, dict):
        return [], value
    if isinstance(value, list):
        return value, {}
    raise ValidationError(_("%s: arguments are a JSON array, or an object by name.") % row.task)
