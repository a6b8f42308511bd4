"""Examples, notebook, tutorial and deployment files do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import aaff
from aaff.cli import parse_words
from aaff.images import write_image
from aaff.published import find_bundled
from aaff.runtime.prediction import Prediction

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "src" / "aaff" / "server" / "page" / "example.mp4"


def test_the_notebook_runs_and_shows_predictions() -> None:
    cells = json.loads((ROOT / "notebooks" / "predict.ipynb").read_text(encoding="utf-8"))["cells"]
    assert all(not cell.get("outputs") for cell in cells)
    names: dict[str, object] = {}
    shown = []
    for cell in cells:
        if cell["cell_type"] == "code":
            *lines, last = "".join(cell["source"]).splitlines()
            exec("\n".join(lines), names)
            shown.append(eval(last, names))
    assert [type(value) for value in shown] == [Prediction, dict, dict, Image.Image, Image.Image]
    assert isinstance(shown[0], Prediction)
    assert shown[0].shares()["road"] > 0.2


def test_the_tutorial_labels_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aaff.cli import main

    text = (ROOT / "docs" / "tutorials" / "labelled_video.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(aaff .*)$", text, re.M)
    for command in commands:
        parse_words(command.split()[1:])
    monkeypatch.chdir(tmp_path)
    shutil.copy(CLIP, "drive.mp4")
    assert main([*commands[-1].split()[1:], "--frames", "3"]) == 0
    assert {path.name for path in Path("labelled").iterdir()} == {"drive_overlay.mp4", "drive.jsonl"}
    first, second = re.findall(r"```python\n(.*?)```", text, re.S)
    exec(first, {})
    assert 'seg.stream("drive.mp4")' in second


def test_the_deployment_files_start_the_server() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(ROOT / "deploy" / "aaff.service", encoding="utf-8")
    parse_words(unit["Service"]["ExecStart"].split()[1:])
    lines = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    steps = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    known = set("FROM WORKDIR COPY RUN USER ENV EXPOSE HEALTHCHECK ENTRYPOINT CMD".split())
    assert {word for word, _, _ in steps} <= known
    entry, words = (json.loads(rest) for word, _, rest in steps if word in ("ENTRYPOINT", "CMD"))
    parse_words([*entry[1:], *words])
    for _, _, rest in (step for step in steps if step[0] == "COPY" and "--from" not in step[2]):
        assert all((ROOT / name).exists() for name in rest.split()[:-1])


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js with npm is not installed")
def test_javascript_gives_the_same_map_without_python(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "examples" / "javascript", tmp_path / "example")
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"onnxruntime-web cannot be installed here: {done.stderr.strip().splitlines()[-1][:200]}")
    seg = aaff.load("street", precision="fp32", size=(480, 360))
    frame = next(iter(seg.stream(CLIP))).image
    write_image(tmp_path / "frame.ppm", frame)
    model = find_bundled("street", "fp32")
    words = ["node", "segment.mjs", str(model), str(tmp_path / "frame.ppm"), str(tmp_path / "ids.pgm")]
    told = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    ids = np.asarray(Image.open(tmp_path / "ids.pgm"))
    own = seg(frame)
    expected = own.class_map if own.network_map is None else own.network_map
    assert (ids == expected).mean() > 0.98  # the two resize with different rounding
