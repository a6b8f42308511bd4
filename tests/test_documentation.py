"""The examples of the documentation do what the text around them says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aaff.cli import main
from aaff.data.layouts.described import read_description
from aaff.images import write_image
from aaff.labels import CAMVID11

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order, also those inside a list."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.M | re.S)


def run(code: str, folder: Path, *words: str) -> str:
    """Run a module of examples in a process of its own, where it may register what it likes."""
    (folder / "examples.py").write_text(code, encoding="utf-8")
    command = [sys.executable, *(words or ["examples.py"])]
    environment = {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_network_of_the_example_keeps_the_contract_and_one_is_used_alone(tmp_path: Path) -> None:
    tests = str(ROOT / "tests" / "networks" / "test_networks.py")
    chosen = "context_only and not 720 and not 357"  # one size is enough here
    words = ["-m", "pytest", "-p", "examples", "-p", "no:cacheprovider", tests, "-k", chosen]
    told = run("".join(blocks("adding_a_network.md", "python")), tmp_path, *words)
    assert int(re.search(r"(\d+) passed", told)[1]) >= 10  # type: ignore[index]


@pytest.fixture
def parking(tmp_path: Path) -> Path:
    """A data set of two frames a split, where the ``dataset.yaml`` of the page says."""
    root = tmp_path / "parking"
    image = np.full((48, 64, 3), 90, np.uint8)
    label = np.array([[0, 26], [27, 255]], np.uint8).repeat(24, 0).repeat(32, 1)
    for name in ("a", "b"):
        write_image(root / "images" / "train" / f"{name}.png", image // 2 if name == "a" else image)
        write_image(root / "labels" / "train" / f"{name}.png", label)
    bright = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    write_image(root / "frames" / "c.jpg", bright)
    write_image(root / "masks" / "c_mask.png", label)
    (root / "lists").mkdir()
    (root / "lists" / "val.txt").write_text("c\n")
    description = blocks("adding_a_dataset.md", "yaml")[0]
    (root / "dataset.yaml").write_text(description, encoding="utf-8")
    return root


def test_a_described_data_set_is_opened_as_the_example_says(parking: Path) -> None:
    run(blocks("adding_a_dataset.md", "python")[0], parking.parent)


def test_the_partially_labelled_data_set_of_the_page_is_one_of_the_protocol(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text(blocks("adding_a_dataset.md", "yaml")[1], encoding="utf-8")
    assert read_description(tmp_path / "dataset.yaml").labels == CAMVID11


def test_the_commands_of_the_page_check_count_and_train_the_described_data_set(
    parking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = "--options width=0.25 sides=1 spatial=false --batch 2 --epochs 1 --optim.warmup 0 --engine.threads 1"
    small += " --augment.crop 64x48"
    for line in blocks("adding_a_dataset.md", "sh")[0].splitlines():
        words = shlex.split(line)[1:]
        words = [str(parking) if word == "camvid" else word for word in words]
        assert main([*words, *(shlex.split(small) if words[0] == "train" else [])]) == 0, line
    assert (tmp_path / "stats.json").is_file()


def test_the_layout_of_the_example_reads_what_it_writes(tmp_path: Path) -> None:
    run("".join(blocks("adding_a_dataset.md", "python")[1:]), tmp_path)
    assert (tmp_path / "streets" / "train" / "a_ids.png").is_file()
