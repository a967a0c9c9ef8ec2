"""How a Python callable's parameters and a message's arguments fit together.

Go calls by position and ignores Arg.Name. Here an argument whose Name is a parameter goes to it; the others fill, in
their order, the positional parameters that are still free, and then *args. So a result that a chain appends, or an
error that is prepended, finds its place also beside keyword arguments.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from inspect import Parameter
from typing import Any

from django_machinery.exceptions import ArgumentError
from django_machinery.protocol import go_types
from django_machinery.protocol.signature import Arg

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class Parameters:
    """The parameters of one callable, without the first when that is the task's context.

    No error tells the value of a parameter in `sensitive`.
    """

    def __init__(self, func: Callable[..., Any], *, skip_first: bool = False, sensitive: Collection[str] = ()) -> None:
        self._func = func
        self._sensitive = sensitive
        parameters = list(_signature(func).parameters.values())[1 if skip_first else 0 :]
        self._signature = inspect.Signature(parameters)
        self._positional = tuple(p.name for p in parameters if p.kind in _POSITIONAL)
        self._required = frozenset(p.name for p in parameters if p.default is p.empty and p.kind not in _VARIADIC)
        self._needed = sum(1 for name in self._positional if name in self._required)
        self._by_name = frozenset(p.name for p in parameters if p.kind in _BY_NAME)
        self._keyword_only = self._by_name - frozenset(self._positional)
        self._rest = next((p.name for p in parameters if p.kind is Parameter.VAR_POSITIONAL), None)
        self._extra = next((p.name for p in parameters if p.kind is Parameter.VAR_KEYWORD), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(self._signature.parameters)

    @functools.cached_property
    def annotations(self) -> Mapping[str, Any]:
        """The parameters' annotations, resolved at first use; Any for one that mentions a name which is not there."""
        hints = _annotations(self._func)
        return {name: hints.get(name, Any) for name in self._signature.parameters}

    @functools.cached_property
    def returns(self) -> Any:
        """The annotation of the return value; None where there is none."""
        return _annotations(self._func).get("return")

    def to_args(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, partial: bool = False) -> tuple[Arg, ...]:
        """The arguments of a message for a call with `args` and `kwargs`; keyword arguments keep their name.

        They are checked as Python would: `TypeError` for what does not fit, unless `partial`, which leaves room for
        results to come. Raises `EncodeError` for a value that has no form on the wire.
        """
        bind = self._signature.bind_partial if partial else self._signature.bind
        bound = bind(*args, **kwargs).arguments
        found: list[Arg] = []
        for name, value in bound.items():
            annotation = self.annotations[name]
            if name == self._rest:
                found.extend(Arg.of(item, annotation) for item in value)
            elif name == self._extra:
                found.extend(Arg.of(item, annotation, key) for key, item in value.items())
            else:
                found.append(Arg.of(value, annotation, name if name in kwargs else ""))
        return tuple(found)

    def to_call(self, args: Sequence[Arg] | None) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The positional and keyword arguments of the call that a message asks for.

        Raises `ArgumentError` that names the parameter which is missing or of another type. A name that is no
        parameter's counts for nothing, as all names do in Go.
        """
        given = args or ()
        for arg in given:
            if arg.name:
                return self._mixed(given)
        if self._keyword_only & self._required or not self._fits(len(given)):
            return self._mixed(given)
        converters = self._converters
        return [convert(arg) for convert, arg in zip(converters, given, strict=False)] + [
            self._convert_rest(arg) for arg in given[len(converters) :]
        ], {}

    def refuse_unknown(self, keywords: Iterable[str]) -> None:
        """Raise `TypeError` for a keyword that the callable does not take."""
        for name in keywords if self._extra is None else ():
            if name not in self._by_name:
                raise TypeError(f"got an unexpected keyword argument {name!r}")

    def check(self, given: Sequence[Arg] | None, *, partial: bool = False) -> None:
        """Raise what `to_call` raises; `partial`: results are appended before, so that parameters may be missing."""
        if partial:
            self._placed(given or ())
        else:
            self.to_call(given)

    def names_for(self, args: Sequence[Arg]) -> list[str]:
        """For each argument of a message the name of its parameter, for people; empty where there is none for it."""
        named, unnamed = self._split(args)
        free = iter([name for name in self._positional if name not in named])
        by_identity = {id(arg): next(free, self._rest or "") for arg in unnamed}
        return [by_identity.get(id(arg), arg.name) for arg in args]

    def _fits(self, count: int) -> bool:
        return count >= self._needed and (count <= len(self._positional) or self._rest is not None)

    @functools.cached_property
    def _converters(self) -> tuple[Callable[[Arg], Any], ...]:
        return tuple(self._converter(name) for name in self._positional)

    @functools.cached_property
    def _convert_rest(self) -> Callable[[Arg], Any]:
        return self._converter(self._rest) if self._rest is not None else self._refuse

    def _mixed(self, given: Sequence[Arg]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        values, rest = self._placed(given)
        missing = [name for name in self._signature.parameters if name in self._required and name not in values]
        if missing:
            raise ArgumentError(f"missing argument {missing[0]!r}")
        return self._arrange(values, rest)

    def _placed(self, given: Sequence[Arg]) -> tuple[dict[str, Any], list[Any]]:
        """The values of parameters, and those for *args."""
        named, unnamed = self._split(given)
        free = [name for name in self._positional if name not in named]
        if len(unnamed) > len(free) and self._rest is None:
            raise ArgumentError(f"takes {len(self._positional)} arguments but {len(given)} were given")
        values = {name: self._converter(name)(arg) for name, arg in zip(free, unnamed, strict=False)}
        values |= {name: self._converter(name)(arg) for name, arg in named.items()}
        return values, [self._convert_rest(arg) for arg in unnamed[len(free) :]]

    def _split(self, given: Sequence[Arg]) -> tuple[dict[str, Arg], list[Arg]]:
        named: dict[str, Arg] = {}
        unnamed: list[Arg] = []
        for arg in given:
            if arg.name and arg.name not in named and (arg.name in self._by_name or self._extra is not None):
                named[arg.name] = arg
            else:
                unnamed.append(arg)
        return named, unnamed

    def _arrange(self, values: dict[str, Any], rest: list[Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        positional: list[Any] = []
        for name in self._positional:
            if name not in values:
                break
            positional.append(values.pop(name))
        if rest and len(positional) < len(self._positional):
            raise ArgumentError(f"missing argument {self._positional[len(positional)]!r}")
        return positional + rest, values

    def _converter(self, name: str) -> Callable[[Arg], Any]:
        """What makes of an argument the value for the parameter `name`."""
        annotation = self.annotations.get(name, self.annotations.get(self._extra or "", Any))

        def convert(arg: Arg) -> Any:
            try:
                value = go_types.from_wire(arg.type, arg.value, annotation)
                return value if arg.type == go_types.JSON else go_types.convert(value, annotation)
            except ArgumentError as error:
                said = "its value does not fit and is not shown" if name in self._sensitive else error
                raise ArgumentError(f"argument {name!r}: {said}") from None

        return convert

    def _refuse(self, arg: Arg) -> Any:
        raise ArgumentError(f"takes {len(self._positional)} arguments but more were given")


if sys.version_info >= (3, 14):
    # Annotations are evaluated when they are asked for, and one that mentions a name which is not there raises.
    from annotationlib import Format, get_annotations

    def _signature(func: Callable[..., Any]) -> inspect.Signature:
        return inspect.signature(func, annotation_format=Format.FORWARDREF)

    def written_annotations(func: Callable[..., Any]) -> Mapping[str, Any]:
        """A callable's annotations as it has them: text, or what stands for text, where names are not there."""
        return get_annotations(func, format=Format.FORWARDREF)

else:
    _signature = inspect.signature

    def written_annotations(func: Callable[..., Any]) -> Mapping[str, Any]:
        """A callable's annotations as it has them: text where the module postpones their evaluation."""
        return getattr(func, "__annotations__", {})


def _annotations(func: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(func, include_extras=True)
    except (NameError, TypeError):
        return _known_annotations(func)


def _known_annotations(func: Callable[..., Any]) -> dict[str, Any]:
    """One by one: a name imported for type checkers alone must not cost the others their types."""
    known: dict[str, Any] = {}
    for name, annotation in written_annotations(func).items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        with contextlib.suppress(NameError, TypeError):
            known |= typing.get_type_hints(holder, getattr(func, "__globals__", {}), include_extras=True)
    return known
