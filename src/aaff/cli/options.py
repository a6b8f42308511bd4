"""The option parser of all commands, which reports errors in one sentence.

A command module has a dataclass ``Args``.  Its fields are the options and their docstrings the help texts; a nested
dataclass gives dotted flags (``--optim.lr``).  A ``Size`` is written as ``480x360`` and a bool as ``--flip`` or
``--no-flip``.  If an option is given twice, the later value wins, so a recipe's values can precede the user's own.

tyro reports parse errors as structured events to a hook in ``tyro._errors``.  The hook is documented but declared
unstable, so ``pyproject.toml`` pins tyro to one minor version; an event unknown to this module becomes a general
message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Annotated, Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import tyro
from tyro import _errors as events
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from aaff.errors import OptionError, nearest
from aaff.preprocess import Size

ArgsT = TypeVar("ArgsT")

_REGISTRY = ConstructorRegistry()


@_REGISTRY.primitive_rule
def _size_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Size] | None:
    if info.type not in (Size, Size | None):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="WIDTHxHEIGHT",
        instance_from_str=_read_size,
        is_instance=lambda value: isinstance(value, Size),
        str_from_instance=lambda size: [str(size)],
    )


def _read_size(words: list[str]) -> Size:
    try:
        return Size.parse(words[0])
    except OptionError as error:
        raise ValueError(str(error)) from error  # the parser reports a ValueError together with the flag


@_REGISTRY.primitive_rule
def _number_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[float] | None:
    """Parse numbers as tyro does, but with a readable error; Python's own speaks of literals and bases."""
    for kind, metavar, what in ((int, "INT", "a whole number"), (float, "FLOAT", "a number")):
        if info.type in (kind, kind | None):
            return PrimitiveConstructorSpec(
                nargs=1,
                metavar=metavar,
                instance_from_str=partial(_read_number, kind=kind, what=what),
                is_instance=partial(_is_number, kind=kind),
                str_from_instance=lambda value: [str(value)],
            )
    return None


def _read_number(words: list[str], kind: type[float], what: str) -> float:
    try:
        return kind(words[0])
    except ValueError:
        raise ValueError(f"{words[0]!r} is not {what}") from None


def _is_number(value: object, kind: type[float]) -> bool:
    return isinstance(value, (int, kind)) and not isinstance(value, bool)


_UNHINTED: list[type] = []
"""Dataclasses whose fields are being looked up, which stops the rule below from recursing."""


@_REGISTRY.struct_rule
def _no_default_none(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Hide "(default: None)" and "(default: )": the help text of an optional option already describes the default."""
    if not is_dataclass(info.type) or info.type in _UNHINTED:
        return None
    _UNHINTED.append(info.type)
    try:
        found = ConstructorRegistry.get_struct_spec(info)
    finally:
        _UNHINTED.pop()
    if not isinstance(found, StructConstructorSpec):
        return None
    fields = (_unhinted(field) if _has_no_default(field) else field for field in found.fields)
    return replace(found, fields=tuple(fields))


def _has_no_default(field: StructFieldSpec) -> bool:
    """Whether the default is nothing, as that of positional arguments of any number is too."""
    variadic = any(get_origin(kind) is tuple for kind in (field.type, *get_args(field.type)[:1]))
    return field.default in (None, (), "") or (variadic and not isinstance(field.default, tuple))


def _unhinted(field: StructFieldSpec) -> StructFieldSpec:
    silent: Any = Annotated[field.type, tyro.conf.arg(help_behavior_hint="")]
    return replace(field, type=silent)


def parse(args: type[ArgsT], words: Sequence[str], *, prog: str, default: ArgsT | None = None) -> ArgsT:
    """Read command-line words into a dataclass.

    Args:
        args: the dataclass whose fields are the options.
        words: the arguments after the command; a later value wins over an earlier one.
        prog: name of the command for help and errors, such as ``"aaff train"``.
        default: values to start from instead of the dataclass's own defaults.

    Raises:
        OptionError: an option is unknown, missing or has a value that cannot be read.
        SystemExit: after ``--help`` was printed.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Args:
    ...     size: Size = Size(480, 360)
    >>> parse(Args, ["--size", "960x720"], prog="aaff x")
    Args(size=Size(width=960, height=720))
    """

    def refuse(event: events.ParseErrorEvent) -> NoReturn:
        raise OptionError(_sentence(event, words, list(_flags(args)), prog))

    if "" in words or any(word.startswith("--") and word.endswith("=") for word in words):
        # An empty path would be the current folder.
        raise OptionError(f"an argument of {prog} is empty; is a shell variable unset?")
    if any("\0" in word for word in words):
        raise OptionError(f"an argument of {prog} contains a null byte; remove it")
    with events.on_parse_error(refuse):
        return tyro.cli(
            args,
            prog=prog,
            args=list(words),
            default=tyro.MISSING_NONPROP if default is None else default,
            # Users omit an option instead of typing "None".
            config=(tyro.conf.DisallowNone, tyro.conf.PositionalMetavarFromFieldName),
            registry=_REGISTRY,
        )


def _flags(args: Any, prefix: str = "") -> Iterator[str]:
    """Every flag of a dataclass of options."""
    hints = get_type_hints(args, include_extras=True)
    for field in fields(args):
        hint = hints[field.name]
        markers = getattr(hint, "__metadata__", ())
        plain = get_args(hint)[0] if markers else hint
        name = prefix + field.name.replace("_", "-")
        if is_dataclass(plain):
            yield from _flags(plain, f"{name}.")
        elif tyro.conf.Positional not in markers:
            yield f"--{name}"
            if plain is bool:
                yield f"--{prefix}no-{field.name.replace('_', '-')}"


def _sentence(event: events.ParseErrorEvent, words: Sequence[str], flags: Sequence[str], prog: str) -> str:
    """Describe a parse error in one sentence, with the nearest valid flag or value for a mistyped one."""
    see = f"see {prog} --help"
    for word in words:
        flag = word.split("=")[0]
        if flag.startswith("--") and flag.replace("_", "-") not in flags:
            close = nearest(flag, flags, cutoff=0.65)
            return f"{prog} has no option {flag}; " + (f"did you mean {close}?" if close else see)
    if isinstance(event, events.MissingArgs):
        missing = (found.arg for found in event.missing_arguments)
        names = [
            f"{argument.lowered.name_or_flags[-1]} {argument.lowered.metavar}"
            if not argument.is_positional()
            else str(argument.lowered.metavar)
            for argument in missing
        ]
        return f"{prog} needs {' and '.join(names)}; {see}"
    if isinstance(event, events.InvalidChoice):
        close = nearest(event.value, event.choices)
        hint = f"did you mean {close!r}? " if close else ""
        return f"{event.argument.display_name()} cannot be {event.value!r}; {hint}valid: {', '.join(event.choices)}"
    if isinstance(event, events.BadValue):
        several = isinstance(event.argument.lowered.nargs, int) and event.argument.lowered.nargs > 1
        needs = f"{event.argument.lowered.nargs} values" if several else "a value"
        return f"{event.argument.display_name()} needs {needs}; {see}"
    if isinstance(event, events.UnrecognizedArgs):
        return f"unexpected argument {' '.join(event.tokens)}; {see}"
    if isinstance(event, events.InstantiationFailure) and event.argument is not None:
        argument = event.argument
        if argument.lowered.nargs == 1:
            return f"{argument.display_name()}: {event.message}; {see}"
        return f"{argument.display_name()} takes {argument.lowered.metavar}; {see}"
    return f"cannot read the options of {prog}; {see}"
