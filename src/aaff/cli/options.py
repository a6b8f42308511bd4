"""How options are read: one parser for all verbs, and one sentence when it cannot read them.

A verb module has a dataclass ``Args``.  Its fields are the options, their docstrings the help; a
nested dataclass gives dotted flags (``--optim.lr``).  A :class:`~aaff.preprocess.Size` is written
``480x360`` wherever it stands, a bool is a pair ``--flip / --no-flip``, and where an option is given
twice the later one counts, so that a recipe's values can stand before the user's own.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import Annotated, Any, TypeVar

import tyro
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
        raise ValueError(str(error)) from error  # the kind of error that the parser adds the flag's name to


_UNHINTED: list[type] = []
"""Dataclasses whose fields are being looked up, so that the rule below can ask for the parser's own answer."""


@_REGISTRY.struct_rule
def _no_default_none(info: StructTypeInfo) -> StructConstructorSpec | None:
    """The help of an option that may be left out says what then happens; "(default: None)" beside it adds nothing."""
    if not is_dataclass(info.type) or info.type in _UNHINTED:
        return None
    _UNHINTED.append(info.type)
    try:
        found = ConstructorRegistry.get_struct_spec(info)
    finally:
        _UNHINTED.pop()
    if not isinstance(found, StructConstructorSpec):
        return None
    fields = (_unhinted(field) if field.default in (None, (), "") else field for field in found.fields)
    return replace(found, fields=tuple(fields))


def _unhinted(field: StructFieldSpec) -> StructFieldSpec:
    silent: Any = Annotated[field.type, tyro.conf.arg(help_behavior_hint="")]
    return replace(field, type=silent)


def parse(args: type[ArgsT], words: Sequence[str], *, prog: str, default: ArgsT | None = None) -> ArgsT:
    """Read command-line words into a dataclass.

    Args:
        args: the dataclass whose fields are the options.
        words: what the user wrote after the verb; a later word wins over an earlier one.
        prog: how the command is called, for help and errors, such as ``"aaff train"``.
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
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return _cli(args, words, prog, default)
    except SystemExit as end:
        if not end.code:
            raise
        raise OptionError(_sentence(complaint.getvalue(), words, _flags(args, prog, default), prog)) from None


def _cli(args: type[ArgsT], words: Sequence[str], prog: str, default: ArgsT | None) -> ArgsT:
    return tyro.cli(
        args,
        prog=prog,
        args=list(words),
        default=tyro.MISSING_NONPROP if default is None else default,
        # "None" is no value that a user types: such an option is simply left out.
        config=(tyro.conf.DisallowNone, tyro.conf.PositionalMetavarFromFieldName),
        registry=_REGISTRY,
    )


def _flags(args: type[ArgsT], prog: str, default: ArgsT | None) -> list[str]:
    """Every flag that the help lists."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        _cli(args, ["--help"], prog, default)
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][\w.-]*", text.getvalue())))


def _sentence(complaint: str, words: Sequence[str], flags: Sequence[str], prog: str) -> str:
    """The parser's framed complaint as one sentence, with the nearest flag or value for a mistyped one."""
    for word in words:
        flag = word.split("=")[0]
        if flag.startswith("--") and flag.replace("_", "-") not in flags:
            close = nearest(flag, [known for known in flags if known != "--help"])
            return f"{prog} has no option {flag}; " + (f"did you mean {close}?" if close else f"see {prog} --help")
    missing: list[str] = []
    said: list[str] = []
    for line in complaint.splitlines()[1:]:  # the first is the title
        body = line.strip("│╰╯╭╮ \n")
        if not body.strip("─-"):  # a rule, drawn in ASCII where the terminal knows no more
            if said:
                break
            continue
        if re.match(r"[│ ] {5}\S", line):  # the level at which missing options are listed
            missing.append(body)
        else:
            said.append(body)
    text = " ".join(said)
    if missing and text.startswith("Missing from"):
        return f"{prog} needs {' and '.join(missing)}; see {prog} --help"
    if choice := re.match(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)", text):
        given, option, values = choice[1], choice[2], re.findall(r"'([^']*)'", choice[3])
        close = nearest(given, values)
        return (
            f"{option} cannot be {given!r}; "
            + (f"did you mean {close!r}? " if close else "")
            + (f"valid: {', '.join(values)}")
        )
    return f"{_reworded(text)}; see {prog} --help"


def _reworded(text: str) -> str:
    """The parser's own words, where a person would say it in others."""
    for pattern, better in (
        (r"^Error parsing ", ""),
        (r"invalid literal for int\(\) with base 10: ('.*')", r"\1 is not a whole number"),
        (r"could not convert string to float: ('.*')", r"\1 is not a number"),
        (r"^Missing value for argument '(.*)'.*", r"\1 needs a value"),
        (r"^Unrecognized options:", "unexpected argument"),
        (r"\.$", ""),
    ):
        text = re.sub(pattern, better, text)
    return text[:1].lower() + text[1:] if text[:1].isalpha() else text
