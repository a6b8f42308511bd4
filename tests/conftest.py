"""Data that many tests share: a small drawn data set and one frame."""

from __future__ import annotations

from pathlib import Path

import pytest

from aaff.data.scenes import Scene, render
from aaff.data.scenes.write import write_scenes
from aaff.preprocess import Size


@pytest.fixture(scope="session")
def scenes_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set in the SegNet layout, 160×120: 24 train, 8 val, 8 test frames.  Read only."""
    root = tmp_path_factory.mktemp("scenes") / "data"
    write_scenes(root, layout="segnet", size=Size(160, 120), train=24, val=8, test=8, seed=0)
    return root


@pytest.fixture(scope="session")
def scene() -> Scene:
    """One drawn frame, 160×120.  Read only."""
    return render(drive=1, frame=90, size=Size(160, 120))
