"""The whole way, by the commands a user types: synthetic frames → checked → trained → scored → semantic maps."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import aaff
from aaff.cli import main, parse_words
from aaff.data.layouts import list_layouts

SMALL = {
    "data scenes": "--size 96x72 --train 8 --val 4 --test 2",
    "train": "--epochs 2 --batch 4 --eval-every 1 --augment.crop 64x48 --engine.threads 1",
}


def tutorial() -> list[list[str]]:
    """The commands of "Five minutes"."""
    page = Path(__file__).parents[1] / "docs" / "tutorials" / "five_minutes.md"
    text = page.read_text(encoding="utf-8").replace(" --size 240x180", "")
    return [shlex.split(line) for line in re.findall(r"^aaff (.*)$", text, re.M)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tutorial's commands up to the training have run, on a tiny data set and for a moment."""
    folder = tmp_path_factory.mktemp("way")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in tutorial()[:3]:
            name = " ".join(words[:2]) if words[0] == "data" else words[0]
            # So few frames may lack some class, which is a finding (1).
            assert main([*words, *SMALL.get(name, "").split()]) in ((0, 1) if name == "data check" else (0,))
    (folder / "run").symlink_to(folder / "runs" / "first")
    return folder


def test_the_run_folder_has_everything(folder: Path) -> None:
    names = {path.name for path in (folder / "run").iterdir()}
    assert {"recipe.yaml", "metrics.csv", "metrics.jsonl", "curves.svg"} <= names
    assert {"last.safetensors", "best.safetensors"} <= names
    assert not [name for name in names if name.startswith(".")]  # no half-written file


def test_evaluation_tells_what_the_score_rests_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "scores.json"
    assert main(["evaluate", str(folder / "run"), "--data", str(folder / "scenes"), "--json", str(file)]) == 0
    told = json.loads(file.read_text())
    assert (told["protocol"], told["split"], told["images"], told["model"]) == ("camvid11", "val", 4, "depthwise_aaff")
    assert {"miou", "pixel_accuracy", "mean_class_accuracy", "per_class", "resize", "engine", "precision"} <= set(told)
    shown = capsys.readouterr().out
    assert "majority class" in shown
    assert "position prior" in shown


def test_the_rest_of_the_tutorial_writes_maps_of_the_images_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    evaluated, predicted, exported, deployed = tutorial()[3:]
    assert (main(evaluated), main(predicted)) == (0, 0)
    for words in (exported, deployed):  # run on a smaller network by the tutorial of one's own data
        parse_words(words)
    source, out = folder / "scenes" / "test", folder / "maps"
    for image in source.iterdir():
        index = np.asarray(Image.open(out / f"{image.stem}_index.png"))
        assert index.shape == (72, 96)
        assert index.max() < 11
        for name in (f"{image.stem}_map.png", f"{image.stem}_overlay.png", f"{image.stem}.json"):
            assert (out / name).is_file()


def test_python_gives_what_the_command_wrote(folder: Path) -> None:
    image = next((folder / "scenes" / "test").iterdir())
    prediction = aaff.load(folder / "run")(image)
    assert prediction.class_map.shape == (72, 96)
    assert prediction.labels.names[3] == "road"


def test_a_run_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "run" / "best.safetensors").read_bytes()
    assert main(["train", "--data", str(folder / "scenes"), "--out", str(folder / "run")]) == 2
    assert "already contains a run" in capsys.readouterr().err
    assert (folder / "run" / "best.safetensors").read_bytes() == before


@pytest.mark.parametrize("layout", list_layouts())
def test_every_layout_is_written_checked_and_scored(layout: str, folder: Path, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    words = f"--layout {layout} --size 64x48 --train 1 --val 1 --test 0"
    assert main(["data", "scenes", data, *words.split()]) == 0
    assert main(["data", "check", data, "--json", str(tmp_path / "check.json")]) == 1
    checked = json.loads((tmp_path / "check.json").read_text())
    assert checked["layout"] == layout
    assert {finding["kind"] for finding in checked["findings"]} == {"absent class"}  # in so few frames
    status = main(["evaluate", str(folder / "run"), "--data", data, "--json", str(tmp_path / "scores.json")])
    if checked["protocol"] != "camvid11":  # the network knows the classes of CamVid
        assert status == 2
        return
    assert status == 0
    assert json.loads((tmp_path / "scores.json").read_text())["protocol"] == checked["protocol"]


def test_a_mistyped_option_is_told_before_a_frame_is_read(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--model", "bisnet"], ["--options", "widht=1"], ["--options", "width=wide"]):
        assert main(["train", "--data", str(folder / "scenes"), "--out", str(tmp_path / "run"), *words]) == 2
        said = capsys.readouterr()
        assert "reading" not in said.out
        assert said.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_readmes_python_runs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[1] / "README.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    shutil.copytree(folder / "run", tmp_path / "runs" / "first")
    (tmp_path / "photos").symlink_to(folder / "scenes")
    (tmp_path / "street.png").symlink_to(next((folder / "scenes" / "test").iterdir()))
    monkeypatch.chdir(tmp_path)
    export = next(line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("aaff export "))
    # A network that was trained for a moment may lose more than half a point in int8.
    assert main([*shlex.split(export, comments=True)[1:], "--force"]) == 0
    for block in blocks:
        exec(block, {})
    assert (tmp_path / "street_overlay.png").is_file()
