"""The drawn street scenes: always the same, true to their label sets, hard enough to be worth learning."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from aaff.data.scenes import frames, render
from aaff.data.scenes.write import plan
from aaff.errors import OptionError
from aaff.labels import CAMVID11, CAMVID32, CAMVID_RAW, IGNORE
from aaff.preprocess import Size

SMALL = Size(160, 120)


def _digest(drive: int, frame: int, size: Size) -> str:
    scene = render(drive, frame, size)
    return hashlib.sha256(scene.image.tobytes() + scene.raw.tobytes()).hexdigest()


def test_a_frame_is_the_same_in_every_process_and_on_any_number_of_threads() -> None:
    code = (
        "import cv2, hashlib; cv2.setNumThreads(1)\n"
        "from aaff.data.scenes import render\n"
        "from aaff.preprocess import Size\n"
        "render(9, 5, Size(64, 48))\n"
        "s = render(4, 60, Size(321, 240))\n"
        "print(hashlib.sha256(s.image.tobytes() + s.raw.tobytes()).hexdigest())"
    )
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(4)
        here = _digest(4, 60, Size(321, 240))
    finally:
        cv2.setNumThreads(before)
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert here == there


@pytest.mark.parametrize("size", [Size(160, 120), Size(97, 65), Size(64, 200)])
def test_picture_and_truth_keep_the_data_contract(size: Size) -> None:
    scene = render(2, 30, size)
    assert scene.image.shape == (size.height, size.width, 3)
    assert scene.label.shape == scene.raw.shape == (size.height, size.width)
    assert scene.image.dtype == scene.label.dtype == scene.raw.dtype == np.uint8


def test_label_is_the_merge_of_the_raw_classes() -> None:
    merged = {name: target for name, _, target in CAMVID_RAW}
    for drive in range(6):
        scene = render(drive, 45, SMALL)
        for raw in np.unique(scene.raw):
            labels = np.unique(scene.label[scene.raw == raw])
            expected = IGNORE if raw == IGNORE else CAMVID11.names.index(merged[CAMVID32.names[raw]])
            assert labels.tolist() == [expected]


def test_every_class_is_there_and_some_pixels_are_void() -> None:
    seen = np.zeros(256, np.int64)
    for drive, frame in plan("train", 24):
        seen += np.bincount(render(drive, frame, SMALL).label.ravel(), minlength=256)
    assert (seen[:11] > 0).all()
    assert seen[IGNORE] > 0
    assert seen[11:IGNORE].sum() == 0


def test_most_raw_classes_appear() -> None:
    seen: set[int] = set()
    for drive in range(40):
        seen |= set(np.unique(render(drive, 0, SMALL).raw).tolist())
    names = {CAMVID32.names[i] for i in seen if i != IGNORE}
    assert len(names) >= 24
    assert {"LaneMkgsDriv", "LaneMkgsNonDriv", "TrafficLight", "Wall", "SUVPickupTruck", "Child"} <= names


def test_consecutive_frames_make_a_video_and_drives_differ() -> None:
    first, second, *_ = [s.image.astype(np.float64) for s in frames(5, 2, SMALL)]
    other = render(6, 0, SMALL).image.astype(np.float64)
    step, jump = np.abs(first - second).mean(), np.abs(first - other).mean()
    assert 0 < step < 0.4 * jump
    labels = [s.label for s in frames(5, 2, SMALL)]
    assert (labels[0] == labels[1]).mean() > 0.9


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(OptionError, match="counted from 0"):
        render(-1, 0)
    with pytest.raises(OptionError, match="16x16"):
        render(0, 0, Size(8, 8))
