"""An interrupted ``data scenes`` leaves no data set, and a repeated call makes one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aaff.cli import main

React = Callable[[signal.Signals, signal.Handlers], None]
WORDS = "data scenes {} --size 64x48 --train 3 --val 2 --test 0 --layout yaml"
RUN = """
import os, signal, sys
from aaff.cli import main
from aaff.synthetic import write
render, calls = write.render, []
def interrupt(*words):
    calls.append(words)
    if len(calls) == 4:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    return render(*words)
write.render = interrupt
sys.exit(main(sys.argv[2:]))
"""
pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_whole_or_absent(name: str, made: bool, tmp_path: Path, react: React) -> None:
    if name != "SIGKILL":
        react(signal.Signals[name], signal.SIG_DFL)
    root = tmp_path / "scenes"
    if made:
        root.mkdir()
    words = WORDS.format(root).split()
    done = subprocess.run([sys.executable, "-c", RUN, name, *words], capture_output=True, text=True, check=False)
    assert done.returncode == (-9 if name == "SIGKILL" else 130), done.stderr
    assert main(["data", "check", str(root)]) == 2
    if name != "SIGKILL":
        assert sorted(tmp_path.iterdir()) == ([root] if made else [])
        assert not made or not list(root.iterdir())
    assert main(words) == 0
    assert os.listdir(tmp_path) == ["scenes"]
    assert not [path for path in root.iterdir() if path.name.startswith(".")]
