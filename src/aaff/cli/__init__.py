"""The ``aaff`` command: parse the subcommand and its options, run it, and report errors in one sentence.

Each subcommand ("verb") has a line in ``VERBS`` and a module in this package (``data check`` is ``data_check.py``)
with a dataclass ``Args`` and a function ``run(args) -> int``.  Only the module of the chosen verb is imported, and
modules import heavy packages inside functions, so ``--help`` is fast.

Exit status: 0 success (with or without warnings), 1 problems found, 2 could not run, 130 interrupted (Ctrl-C, SIGTERM,
SIGHUP), 141 broken pipe.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from aaff.errors import AaffError, OptionError, UnknownNameError, missing_extra
from aaff.privacy import share_cache_folder
from aaff.signals import stopping_raises

VERBS: dict[str, str] = {
    "data init": "describe a folder of images and masks as a data set",
    "data check": "check a data set for errors",
    "data stats": "count images, image sizes and pixels per class",
    "data scenes": "generate a data set of synthetic street scenes, no download",
    "train": "train a network",
    "evaluate": "score a model on a split of a data set",
    "convert": "convert weights trained by another project into a checkpoint",
    "export": "export a checkpoint to one .onnx file that runs without PyTorch",
    "predict": "segment images, videos and camera streams",
    "serve": "serve a live web page and an HTTP API",
    "bench": "measure the latency and throughput of models",
    "models": "list the models and networks, or show the layers of one",
    "demo": "generate data, train, evaluate and predict in a few minutes",
}
"""Every verb with its one-line summary, in the order of the help."""

_INTERRUPTED = 130
_BROKEN_PIPE = 141
_LONGEST = 2000
"""Maximum length of an error message, in characters."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_SMALLER = "out of memory; try a smaller batch, a smaller size or fewer workers"
_NO_MEMORY = ("Insufficient memory", "allocate memory", "not enough memory", "out of memory")
"""What OpenCV and PyTorch write when memory runs out; neither raises MemoryError."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the arguments after ``aaff``; default: those of this process.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        return _fail("the current folder no longer exists; change to another one")
    share_cache_folder()
    return exit_status(lambda: _dispatch(_import(list(sys.argv[1:] if argv is None else argv))))


def _import(words: list[str]) -> list[str]:
    """Import the modules named by ``--import MODULE`` and return the remaining arguments.

    Raises:
        OptionError: a module cannot be imported.
    """
    from aaff.plugins import import_module

    others, rest = words[:1], iter(words[1:])
    for word in rest:
        flag, equals, name = word.partition("=")
        if flag != "--import":
            others.append(word)
            continue
        name = name if equals else next(rest, "")
        if not name:
            raise OptionError("--import needs the name of a module or a .py file, such as --import my_network")
        import_module(name)
    return others


def exit_status(command: Callable[[], int]) -> int:
    """Run a command and return its exit status; print errors that a user can fix as one sentence on standard error.

    SIGTERM and SIGHUP end the command as Ctrl-C does: results are finished or removed.

    Args:
        command: returns its own exit status.
    """
    # Messages and file names may have characters that the output's encoding lacks; escape them instead of failing.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with stopping_raises() as stopped:
        try:
            status = _status(command)
        except OSError:
            if not stopped():
                raise
            status = _INTERRUPTED  # the terminal is gone and accepts no more output
    _drop_output()
    return _INTERRUPTED if status and stopped() else status


def _status(command: Callable[[], int]) -> int:
    """Run a command; print an error as one sentence."""
    try:
        status = command()
        _flush()
        return status
    except AaffError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        return _BROKEN_PIPE
    except ModuleNotFoundError as error:
        explained = missing_extra(error)
        if explained is None:
            raise
        return _fail(str(explained))
    except MemoryError:
        return _fail(_SMALLER)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in _FULL:
            return _fail(f"the disk is full{where}; free some space and run the same command again")
        if error.errno in _FORBIDDEN and where:
            return _fail(f"no permission to use {error.filename}; choose a folder of your own")
        if error.strerror and where:  # a name that is too long, a loop of links, a file where a folder should be
            return _fail(f"cannot use {error.filename}: {error.strerror}")
        raise
    except Exception as error:
        if any(words in str(error) for words in _NO_MEMORY):
            return _fail(_SMALLER)
        raise


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _drop_output() -> None:
    """Discard output that cannot be written, so that the interpreter does not fail on it at exit."""
    try:
        _flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parse_words(words: Sequence[str]) -> tuple[ModuleType, Any]:
    """Parse a command line (without ``aaff``) into the verb's module and its ``Args``; nothing is run.

    Raises:
        UnknownNameError: there is no such verb.
        OptionError: an option is unknown, missing or has an unreadable value.
    """
    verb = _find_verb(words)
    module = importlib.import_module(f"aaff.cli.{verb.replace(' ', '_')}")
    from aaff.cli.options import parse

    own = list(words[len(verb.split()) :])
    if expand := getattr(module, "expand", None):  # train puts the recipe's values before the user's arguments
        own = expand(own)
    return module, parse(module.Args, own, prog=f"aaff {verb}")


def _dispatch(words: list[str]) -> int:
    if not words:
        print(_help(), file=sys.stderr)
        return 2
    if words[0] in ("-h", "--help", "help"):
        print(_help(words[1] if len(words) > 1 else ""))
        return 0
    if words[0] in ("-V", "--version"):
        from aaff import __version__

        print(f"aaff {__version__}")
        return 0
    if words[0] in _groups() - set(VERBS) and words[1:2] in (["-h"], ["--help"]):
        print(_help(words[0]))
        return 0
    try:
        module, args = parse_words(words)
    except SystemExit as end:  # --help was printed
        return int(end.code or 0)
    return int(module.run(args))


def _groups() -> set[str]:
    return {verb.split()[0] for verb in VERBS if " " in verb}


def _find_verb(words: Sequence[str]) -> str:
    """The verb at the start of the arguments."""
    first, second = (*words, "", "")[:2]
    if f"{first} {second}" in VERBS:
        return f"{first} {second}"
    if first in VERBS:
        return first
    if first.startswith("-"):
        raise OptionError(f"{first} must stand after a command, such as: aaff train {first} …; see aaff --help")
    if first in _groups():
        choices = [verb.split()[1] for verb in VERBS if verb.startswith(f"{first} ")]
        if not second or second.startswith("-"):
            raise OptionError(f"aaff {first} needs one of {', '.join(choices)}; see aaff {first} --help")
        raise UnknownNameError(f"command aaff {first}", second, choices)
    raise UnknownNameError("command", first, {verb.split()[0] for verb in VERBS})


def _help(group: str = "") -> str:
    rows = {verb: text for verb, text in VERBS.items() if verb.split()[0] == group} or VERBS
    width = max(map(len, rows))
    lines = [f"  aaff {verb:<{width}}  {text}" for verb, text in rows.items()]
    return "\n".join(
        [
            "Real-time semantic segmentation: train, measure and run networks on CPUs.",
            "",
            *lines,
            "",
            "aaff COMMAND --help shows the options of a command; aaff --version prints the version.",
        ]
    )


def _fail(sentence: str) -> int:
    # A name typed by the user may be very long and may contain terminal control sequences.
    if len(sentence) > _LONGEST:
        sentence = f"{sentence[: _LONGEST // 2]} … {sentence[-_LONGEST // 2 :]}"
    sentence = "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in sentence)
    with contextlib.suppress(OSError):  # standard error is closed
        print(f"aaff: {sentence}", file=sys.stderr)
    return 2
