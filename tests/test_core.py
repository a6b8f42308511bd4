"""What works where only the core is installed: no torch, no onnx, no extra at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aaff.images import write_image
from aaff.published import default_name

BLOCK = """
import importlib.util, sys
EXTRAS = {"torch", "onnx", "onnxscript", "onnxruntime", "safetensors", "matplotlib", "nncf"}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
sys.meta_path.insert(0, Absent())
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in EXTRAS else real(name, *rest)
"""
"""Makes the extras absent in a process that has them."""


def core(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code as if nothing but the core were installed."""
    return subprocess.run(
        [sys.executable, "-c", BLOCK + code], cwd=cwd, env={**os.environ}, capture_output=True, text=True, check=False
    )


def command(words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return core(f"from aaff.cli import main; sys.exit(main({words!r}))", cwd)


def test_the_package_shows_itself(tmp_path: Path) -> None:
    done = core(
        """
import pydoc, aaff
from aaff import *
assert all(getattr(aaff, name) for name in dir(aaff))
assert "create_model" in pydoc.plain(pydoc.render_doc(aaff))
try:
    create_model("bisenet")
except aaff.AaffError as error:
    assert isinstance(error, ImportError)
    print(error)
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "torch is not installed" in done.stdout


def test_the_bundled_model_is_loaded_by_its_name_and_bench_takes_its_files(tmp_path: Path) -> None:
    done = core(
        """
import aaff
from aaff.bench.subjects import Exporter, find_subject
from aaff.published import default_name
print(aaff.load(default_name()).engine.name)
subject = find_subject(default_name(), None, Exporter(None, ["fp32", "int8"]))
print(*sorted(subject.files), subject.net)
""",
        tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "openvino\nfp32 int8 None\n"), done.stderr


def test_models_lists_what_is_ready_and_says_what_more_would_take(tmp_path: Path) -> None:
    done = command(["models"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "everywhere" in done.stdout
    assert "torch is not installed" in done.stdout


@pytest.mark.parametrize("words", [["train", "--data", "x", "--model", "bisenet"], ["models", "no-such-network"]])
def test_what_needs_an_extra_names_the_command_that_installs_it(tmp_path: Path, words: list[str]) -> None:
    done = command(words, tmp_path)
    assert done.returncode == 2
    assert "install" in done.stderr
    assert "[train]" in done.stderr
    assert "Traceback" not in done.stderr


def test_predict_and_evaluate_run_the_bundled_model(tmp_path: Path, scenes_dir: Path, scene: object) -> None:
    write_image(tmp_path / "a.png", scene.image)  # type: ignore[attr-defined]
    predict = ["predict", "a.png", "--out", "maps"]
    evaluate = ["evaluate", default_name(), "--data", str(scenes_dir), "--json", "scores.json"]
    done = core(f"from aaff.cli import main; sys.exit(main({predict!r}) or main({evaluate!r}))", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "maps" / "a_overlay.png").is_file()
    assert (tmp_path / "scores.json").is_file()
