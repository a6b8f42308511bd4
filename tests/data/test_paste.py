"""Objects of rare classes from other frames: what is pasted is theirs, pixel and label."""

from __future__ import annotations

import numpy as np
import pytest

from aaff.data.layouts import open_dataset, write_dataset
from aaff.data.paste import PasteRareObjects
from aaff.data.sample import Dataset, Sample
from aaff.errors import OptionError
from aaff.labels import CAMVID11
from aaff.training.preparation import class_counts

POLE, ROAD = CAMVID11.names.index("pole"), CAMVID11.names.index("road")
COLOR = (200, 10, 20)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two frames of road, 40×32; the second has a pole of 4×20 in a colour of its own, and a speck that is none."""
    root = tmp_path_factory.mktemp("poles")
    plain = Sample("a", np.full((32, 40, 3), 90, np.uint8), np.full((32, 40), ROAD, np.uint8))
    image, label = plain.image.copy(), plain.label.copy()
    image[6:26, 30:34], label[6:26, 30:34] = COLOR, POLE
    label[0, 0] = POLE
    write_dataset("segnet", root, "train", [plain, Sample("b", image, label)], CAMVID11)
    return open_dataset(root, "train")


def paste(frames: Dataset, probability: float = 1.0, *classes: str) -> PasteRareObjects:
    return PasteRareObjects(frames, class_counts(frames), classes or ("pole", "bicyclist"), probability)


def test_objects_keep_their_height_and_bring_pixels_and_label(frames: Dataset) -> None:
    image, label = frames[0].image, frames[0].label
    pasted, mask = paste(frames)(image, label, np.random.default_rng(0))
    assert (mask == POLE).any()
    assert (pasted[mask == POLE] == COLOR).all()
    assert (pasted[mask == ROAD] == 90).all()
    rows = np.flatnonzero((mask == POLE).any(1))
    assert (rows[0], rows[-1]) == (6, 25)
    assert (label == ROAD).all()  # the frame itself is untouched


def test_frames_of_another_size_get_objects_of_theirs(frames: Dataset) -> None:
    image, label = np.full((64, 80, 3), 90, np.uint8), np.full((64, 80), ROAD, np.uint8)
    _, mask = paste(frames)(image, label, np.random.default_rng(0))
    rows = np.flatnonzero((mask == POLE).any(1))
    assert (rows[0], rows[-1]) == (12, 51)


def test_the_same_generator_pastes_the_same_and_probability_0_nothing(frames: Dataset) -> None:
    image, label = frames[0].image, frames[0].label
    one, other = (paste(frames)(image, label, np.random.default_rng(3))[1] for _ in range(2))
    assert (one == other).all()
    assert paste(frames, 0.0)(image, label, np.random.default_rng(3))[1] is label


def test_classes_that_no_frame_shows_are_refused(frames: Dataset) -> None:
    with pytest.raises(OptionError, match="bicyclist"):
        paste(frames, 1.0, "bicyclist", "no such class")
