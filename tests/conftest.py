"""Data that many tests share: a small drawn data set and one frame."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch

from aaff.card import ModelCard
from aaff.data.scenes import Scene, render
from aaff.data.scenes.write import write_scenes
from aaff.labels import CAMVID11
from aaff.networks import create_model
from aaff.networks.weights import save_checkpoint
from aaff.preprocess import Size


@pytest.fixture(scope="session")
def scenes_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set in the SegNet layout, 160×120: 24 train, 8 val, 8 test frames.  Read only.

    Drawn once, also when several workers (pytest-xdist) run the tests: the others wait for the first.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root, claim, done = shared / "scenes", shared / "scenes.claim", shared / "scenes.done"
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        for _ in range(3000):
            if done.exists():
                return root
            time.sleep(0.1)
        pytest.fail("the worker that draws the scenes has not finished")
    try:
        write_scenes(root, layout="segnet", size=Size(160, 120), train=24, val=8, test=8, seed=0)
    finally:
        done.touch()  # after a failure too: the others then fail at once instead of waiting
    return root


@pytest.fixture(scope="session")
def scene() -> Scene:
    """One drawn frame, 160×120.  Read only."""
    return render(drive=1, frame=90, size=Size(160, 120))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of an untrained depthwise_aaff for camvid11 at 160×120.  Read only."""
    torch.manual_seed(0)
    net = create_model("depthwise_aaff", CAMVID11.num_classes)
    card = ModelCard("depthwise_aaff", {}, CAMVID11, "camvid11", Size(160, 120), score={"selected_on": "val"})
    path = tmp_path_factory.mktemp("run") / "best.safetensors"
    save_checkpoint(path, net.state_dict(), card)
    return path
