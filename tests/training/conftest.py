"""A data set so small that a training on it takes a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aaff.cli import main
from aaff.data.layouts import write_dataset
from aaff.data.sample import Sample
from aaff.labels import CAMVID11
from tests.training.processes import leave_out, words


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the curves takes longer than an epoch; the run ``trained`` has some."""
    monkeypatch.setattr("aaff.training.progress.draw_curves", leave_out)


@pytest.fixture(scope="session")
def blocks_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blocks whose colour tells their class, 72×56, some of them void: 12 train and 5 val frames.  Read only."""
    root = tmp_path_factory.mktemp("blocks")
    draw = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 5)):
        write_dataset("segnet", root, split, [_frame(f"{split}_{i:02}", draw) for i in range(count)], CAMVID11)
    return root


@pytest.fixture(scope="session")
def trained(blocks_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run of two epochs.  Read only."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert main(words(blocks_dir, folder, "--render-every", "1")) == 0
    return folder


def _frame(name: str, draw: np.random.Generator) -> Sample:
    ids = np.kron(draw.choice(np.array([0, 3, 8, 255], np.uint8), (7, 9)), np.ones((8, 8), np.uint8))
    image = CAMVID11.colorize(ids).astype(int) + draw.integers(-20, 20, (56, 72, 3))
    return Sample(name, image.clip(0, 255).astype(np.uint8), ids)
