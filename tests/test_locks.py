"""One process works on a run, and its children do not keep it from others."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from aaff.errors import OptionError
from aaff.locks import only_process

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs flock")


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
