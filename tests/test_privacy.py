"""aaff sends nothing, looks up no name, and leaves nothing in the home directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import aaff
from aaff.data.layouts import open_dataset
from aaff.privacy import some_home

RECORDER = """
import os, sys
EVENTS = "getaddrinfo gethostbyname gethostbyaddr connect sendto".split()
def note(event, args):
    if event in [f"socket.{name}" for name in EVENTS]:
        with open(os.environ["SENT"], "a") as file:
            print(event, args[1:] if event == "socket.connect" else args, file=file)
sys.addaudithook(note)
"""


PLUGIN = """
from aaff.networks.registry import register_model
from tests.tiny import tiny
register_model(paper="none")(tiny)
"""


@pytest.mark.parametrize("command", ["predict", "export"])
def test_nothing_is_sent_or_left_at_home(
    command: str, tmp_path: Path, tiny_checkpoint: Path, scenes_dir: Path, exported: dict[str, Path]
) -> None:
    image, model = str(open_dataset(scenes_dir, "val").pairs[0].image), str(exported["fp32"])
    export = f"export {tiny_checkpoint} --out m.onnx --precision int8 --data {scenes_dir} --force".split()
    commands = {
        "predict": [
            ["predict", image, "--out", "results", "--model", model],
            ["bench", model, "--runs", "1", "--threads", "1"],
        ],
        "export": [[*export, "--import", "tiny_plugin"]],
    }[command]
    code = f"import sys\nfrom aaff.cli import main\nsys.exit(any([main(words) for words in {commands!r}]))"
    home, work, recorder = tmp_path / "home", tmp_path / "work", tmp_path / "recorder"
    for folder in (home, work, recorder):
        folder.mkdir()
    (recorder / "sitecustomize.py").write_text(RECORDER)
    (recorder / "tiny_plugin.py").write_text(PLUGIN)
    package, tests = Path(aaff.__file__).parents[1], Path(__file__).parents[1]
    foreign = ("XDG_", "NNCF_", "ORT_", "MPL", "CI")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {
        "HOME": str(home),
        "AAFF_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join(map(str, (recorder, package, tests))),
        "SENT": str(tmp_path / "sent"),
    }
    # Statistics are sent by a thread: whoever sends them has asked for a name before the process ends.
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "sent").exists(), (tmp_path / "sent").read_text()
    assert not list(home.iterdir())


def test_a_user_without_a_home_has_one_where_a_library_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: os.environ.get("HOME", path))
    with some_home():
        assert Path.home().is_dir()
    with pytest.raises(RuntimeError):
        Path.home()
