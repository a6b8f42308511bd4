"""The synthetic street scenes: always the same, true to their label sets, hard enough to be worth learning."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from aaff.cli import main
from aaff.data.duplicates import Frame, fingerprint, leaks_between
from aaff.data.layouts import list_layouts, open_dataset, splits
from aaff.errors import DataError, OptionError
from aaff.evaluation.confusion import ConfusionMatrix
from aaff.labels import CAMVID11, CAMVID32, CAMVID_RAW, CITYSCAPES19, IGNORE
from aaff.preprocess import Size
from aaff.synthetic import frames, render
from aaff.synthetic.write import plan, write_scenes, write_video

SMALL = Size(160, 120)


def _digest(drive: int, frame: int, size: Size) -> str:
    scene = render(drive, frame, size)
    return hashlib.sha256(scene.image.tobytes() + scene.raw.tobytes()).hexdigest()


def test_a_frame_is_the_same_in_every_process_and_on_any_number_of_threads() -> None:
    code = (
        "import cv2, hashlib; cv2.setNumThreads(1)\n"
        "from aaff.synthetic import render\n"
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
    for drive in range(4):
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


def test_every_raw_class_appears_and_traffic_lights_often() -> None:
    seen: set[str] = set()
    lights, drawn = 0, 0
    for drive, frame in plan("train", 180)[::3]:
        raw = np.unique(render(drive, frame, Size(240, 180)).raw).tolist()
        names = {CAMVID32.names[i] for i in raw if i != IGNORE}
        seen |= names
        lights, drawn = lights + ("TrafficLight" in names), drawn + 1
    assert seen == set(CAMVID32.names)
    assert lights >= 0.2 * drawn


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


def test_classes_hide_in_no_fixed_place(scenes_dir: Path) -> None:
    train, val = (open_dataset(scenes_dir, split) for split in ("train", "val"))
    labels = np.stack([sample.label for sample in train])
    votes = np.stack([(labels == i).sum(0) for i in range(11)])
    prior = votes.argmax(0).astype(np.uint8)
    matrix = ConfusionMatrix(11)
    for sample in val:
        matrix.update(sample.label, prior)
    assert matrix.metrics().miou <= 0.25


def test_splits_share_no_drive_and_nothing_alike(scenes_dir: Path) -> None:
    prints, drives = {}, {}
    for split in ("train", "val", "test"):
        data = open_dataset(scenes_dir, split)
        prints[split] = [Frame(split, p.image, fingerprint(s.image)) for p, s in zip(data.pairs, data, strict=True)]
        drives[split] = {pair.name.split("_")[0] for pair in data.pairs}
    leaks, closest = leaks_between(prints)
    assert leaks == []
    assert all(not pair.identical for pair in closest.values())
    assert not drives["train"] & drives["val"]
    assert not (drives["train"] | drives["val"]) & drives["test"]


@pytest.mark.parametrize("layout", list_layouts())
def test_every_layout_holds_the_scenes(layout: str, tmp_path: Path) -> None:
    write_scenes(tmp_path / "data", layout=layout, size=Size(64, 48), train=2, val=1, test=1, seed=3)
    train = open_dataset(tmp_path / "data", "train")
    assert train.layout == layout
    assert train.labels == (CITYSCAPES19 if layout == "cityscapes" else CAMVID11)
    (drive, frame), *_ = plan("train", 2, seed=3)
    scene = render(drive, frame, Size(64, 48))
    np.testing.assert_array_equal(train[0].image, scene.image)
    if layout != "cityscapes":
        np.testing.assert_array_equal(train[0].label, scene.label)
    if layout in ("kaggle", "original"):
        raw = open_dataset(tmp_path / "data", "train", protocol="camvid32")
        np.testing.assert_array_equal(raw[0].label, scene.raw)


def test_a_seed_gives_other_streets() -> None:
    assert not {d for d, _ in plan("train", 50, seed=0)} & {d for d, _ in plan("train", 50, seed=1)}
    assert len(set(plan("val", 100))) == 100


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(DataError, match="empty"):
        write_scenes(tmp_path, size=Size(64, 48), train=1, val=0, test=0)
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


def test_a_drive_becomes_a_video(tmp_path: Path) -> None:
    import av

    write_video(tmp_path / "drive.mp4", seconds=0.4, size=Size(96, 72), drive=2)
    with av.open(str(tmp_path / "drive.mp4")) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        rate = container.streams.video[0].average_rate
    assert len(pictures) == 12
    assert rate == 30
    first = render(2, 0, Size(96, 72)).image.astype(float)
    assert np.abs(pictures[0] - first).mean() < 12
    with pytest.raises(OptionError):
        write_video(tmp_path / "drive.avi", seconds=0.1, size=Size(96, 72))


def test_the_command_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "scenes", str(tmp_path / "a"), "--size", "64x48", "--train", "1", "--val", "1", "--test", "0"]
    assert main(words) == 0
    assert "1 train, 1 val, 0 test" in capsys.readouterr().out
    assert splits(tmp_path / "a") == ["train", "val"]
    assert main(words) == 2
    assert "empty" in capsys.readouterr().err
    assert main(["data", "scenes"]) == 2


def test_a_video_replaces_nothing_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.mp4").write_text("mine")
    words = ["data", "scenes", "--video", str(tmp_path / "mine.mp4"), "--size", "64x48", "--seconds", "0.1"]
    assert main(words) == 2
    assert (tmp_path / "mine.mp4").read_text() == "mine"
    assert main([*words, "--overwrite"]) == 0
    for value in ("nan", "inf", "0", "1e9"):
        assert main([*words, "--overwrite", "--seconds", value]) == 2
    assert main(["data", "scenes", str(tmp_path / "new"), "--video", "drive.avi"]) == 2
    assert not (tmp_path / "new").exists()
