"""``python -m benchmarks.logit_offset``: no offset is the plain score, a huge one gives the class everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aaff.cli import main as aaff
from benchmarks.logit_offset import main


def test_offsets_are_scored(scenes_dir: Path, small_checkpoint: Path, tmp_path: Path) -> None:
    file, plain = tmp_path / "offsets.json", tmp_path / "plain.json"
    words = ["--data", str(scenes_dir), "--model", str(small_checkpoint), "--split", "val", "--json", str(file)]
    assert main([*words, "--class-name", "road", "--offset", "0", "1e6"]) == 0
    own, everywhere = json.loads(file.read_text())["rows"]
    assert aaff(["evaluate", str(small_checkpoint), "--data", str(scenes_dir), "--json", str(plain)]) == 0
    assert own["miou"] == pytest.approx(json.loads(plain.read_text())["miou"], abs=1e-3)
    assert everywhere["pixel_accuracy"] == pytest.approx(everywhere["iou"])  # road alone is right, where road is


@pytest.mark.parametrize("wrong", [["--split", "val", "test"], ["--split", "val", "--class-name", "zebra"]])
def test_what_does_not_fit_is_refused(scenes_dir: Path, small_checkpoint: Path, wrong: list[str]) -> None:
    assert main(["--data", str(scenes_dir), "--model", str(small_checkpoint), *wrong]) == 2
