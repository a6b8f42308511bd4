"""Examples, notebook, tutorial and deployment files do what they say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

import aaff
import aaff.server.run
from aaff.cli import main, parse_words
from aaff.images import write_image
from aaff.published import find_exported
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


def test_the_tutorial_leads_from_a_folder_to_a_served_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "tutorials" / "own_data.md").read_text(encoding="utf-8")
    commands = [shlex.split(line) for line in re.findall(r"^(?:aaff|curl) .*$", text, re.M)]
    monkeypatch.chdir(tmp_path)
    bands = np.repeat(np.arange(4, dtype=np.uint8), 12)[:, None].repeat(64, 1)
    for number in range(8):
        name = f"{'ab'[number // 4]}_{number % 4:03}"
        blocks = np.random.default_rng(number).integers(0, 120, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        write_image(Path(f"photos/images/{name}.jpg"), blocks + 30 * bands[..., None])
        write_image(Path(f"photos/masks/{name}.png"), bands)
    served: list[FastAPI] = []
    monkeypatch.setattr(aaff.server.run, "serve", lambda app, settings, **options: served.append(app))
    small = "--options width=0.25 sides=1 spatial=false --batch 2 --epochs 1 --optim.warmup 0 --augment.crop 64x48"
    done = []
    for program, *words in commands[:-1]:
        assert program == "aaff"
        parse_words(words)
        if "scratch" in words or "int8" in words:
            continue  # long, and the same but for options
        more = [*small.split(), "--engine.threads", "1"] if words[0] == "train" else []
        done.append((" ".join(words[:2]) if words[0] == "data" else words[0], main([*words, *more])))
    assert done == [
        ("data init", 0),
        ("data check", 0),
        ("data stats", 0),
        ("train", 0),
        ("evaluate", 0),
        ("predict", 0),
        ("export", 0),
        ("serve", 0),
    ]
    [program, option, file, address] = commands[-1]
    assert (program, option) == ("curl", "--data-binary")
    with TestClient(served[0], base_url="http://localhost:8000") as client:
        found = client.post(address.removeprefix("localhost:8000"), content=Path(file.removeprefix("@")).read_bytes())
    assert found.status_code == 200
    assert {row["name"] for row in found.json()["classes"]} <= {"road", "building", "sky", "car"}


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
    copied = [rest.split()[:-1] for word, _, rest in steps if word == "COPY" and "--from" not in rest]
    names = {name for part in copied for name in part}
    assert all((ROOT / name).exists() for name in names)
    ignored = (ROOT / "deploy" / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert names == {line[1:] for line in ignored if line.startswith("!")}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = (ROOT / "deploy" / "aaff.service").read_text(encoding="utf-8")
    (tmp_path / "aaff.service").write_text(unit.replace("/opt/aaff/bin/aaff", sys.executable), encoding="utf-8")
    words = ["systemd-analyze", "verify", str(tmp_path / "aaff.service")]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (told.returncode, "aaff.service" in told.stderr) == (0, False), told.stderr


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
    model = find_exported("street", "fp32")
    words = ["node", "segment.mjs", str(model), str(tmp_path / "frame.ppm"), str(tmp_path / "ids.pgm")]
    told = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    ids = np.asarray(Image.open(tmp_path / "ids.pgm"))
    own = seg(frame)
    expected = own.class_map if own.network_map is None else own.network_map
    assert (ids == expected).mean() > 0.98  # the two resize with different rounding
