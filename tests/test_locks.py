"""One process works on a run, and its children do not keep it from others."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from aaff import locks
from aaff.errors import OptionError
from aaff.locks import only_process

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs flock")


def test_without_locks_of_folders_a_file_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows, played by another implementation of its function."""

    def locking(handle: int, mode: int, size: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        windows.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
        loaded = runpy.run_path(locks.__file__)
        held, error = loaded["only_process"], loaded["OptionError"]
        with held(tmp_path / "run", "run"):
            with pytest.raises(error), held(tmp_path / "run", "run"):
                pass
            (tmp_path / "run" / "result").touch()
    assert os.listdir(tmp_path / "run") == ["result"]


def test_a_second_holder_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with only_process(run, "run"):
        with pytest.raises(OptionError, match="run"), only_process(run, "run"):
            pass
        assert not os.listdir(run)
    with only_process(run, "run"):
        pass
    assert not run.exists()


def test_a_forked_child_does_not_hold_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    leave = context.Event()
    with only_process(tmp_path, "run"):
        child = context.Process(target=leave.wait)
        child.start()
    try:
        with only_process(tmp_path, "run"):
            pass
    finally:
        leave.set()
        child.join()
