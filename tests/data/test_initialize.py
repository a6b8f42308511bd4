"""A folder of images and masks becomes a data set: pairs, values, names, and splits without neighbours."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aaff.cli import main
from aaff.data import open_dataset, splits
from aaff.data.discovery import find_pairs
from aaff.data.division import divide
from aaff.errors import DataError
from aaff.images import write_image

IMAGE = np.zeros((6, 8, 3), np.uint8)


def ids(*values: int) -> np.ndarray:
    return np.resize(np.array(values, np.uint8), (6, 8))


def init(root: Path, *words: str) -> int:
    return main(["data", "init", str(root), *words])


@pytest.fixture
def drives(tmp_path: Path) -> Path:
    """Four drives of five frames; ids 0, 7 and 255."""
    for drive in "abcd":
        for frame in range(5):
            write_image(tmp_path / "images" / f"{drive}_{frame:03}.jpg", IMAGE)
            write_image(tmp_path / "masks" / f"{drive}_{frame:03}.png", ids(0, 7, 7, 255))
    return tmp_path


def test_two_folders_with_ids(drives: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(drives, "--names", "road", "car", "--licence", "CC BY 4.0") == 0
    assert "20 images" in capsys.readouterr().out
    train, val = (open_dataset(drives, split) for split in ("train", "val"))
    assert train.labels.names == ("road", "car")
    assert train.licence == "CC BY 4.0"
    assert set(np.unique(train.label(0))) == {0, 1, 255}
    assert len(train) + len(val) == 20
    of = [{pair.name[0] for pair in dataset.pairs} for dataset in (train, val)]
    assert not of[0] & of[1], "no drive is in both"
    assert main(["data", "stats", str(drives)]) == 0


def test_colours_of_a_known_data_set_get_its_names_and_void_is_ignored(tmp_path: Path) -> None:
    mask = np.zeros((6, 8, 3), np.uint8)
    mask[:3], mask[3:5] = (128, 64, 128), (64, 0, 128)
    for frame in range(8):
        write_image(tmp_path / f"f{frame}.png", IMAGE)
        write_image(tmp_path / f"f{frame}_mask.png", mask)
    assert init(tmp_path) == 0
    train = open_dataset(tmp_path, "train")
    assert sorted(train.labels.names) == ["Car", "Road"]
    label = train.label(0)
    assert train.labels.names[label[0, 0]] == "Road"
    assert label[5, 0] == 255


def test_a_binary_mask_has_a_background_and_an_object(tmp_path: Path) -> None:
    for name in ("oak", "elm", "ash"):
        write_image(tmp_path / "img" / f"{name}.png", IMAGE)
        write_image(tmp_path / "label" / f"{name}.png", ids(0, 255))
    assert init(tmp_path) == 0
    train = open_dataset(tmp_path, "train")
    assert train.labels.names == ("background", "object")
    assert set(np.unique(train.label(0))) == {0, 1}


def test_folders_that_name_splits_are_kept(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        write_image(tmp_path / split / "images" / "a.png", IMAGE)
        write_image(tmp_path / split / "masks" / "a_label.png", ids(1, 2))
    assert init(tmp_path) == 0
    assert splits(tmp_path) == ["train", "val", "test"]
    assert open_dataset(tmp_path, "test").pairs[0].label == tmp_path / "test" / "masks" / "a_label.png"


def test_an_existing_description_is_kept(drives: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (drives / "dataset.yaml").write_text("mine")
    assert init(drives) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (drives / "dataset.yaml").read_text() == "mine"
    assert init(drives, "--overwrite") == 0


@pytest.mark.parametrize(("words", "named"), [(["--names", "road"], "0, 7"), (["--val", "2"], "val")])
def test_options_that_do_not_fit(
    drives: Path, capsys: pytest.CaptureFixture[str], words: list[str], named: str
) -> None:
    assert init(drives, *words) == 2
    assert named in capsys.readouterr().err
    assert not (drives / "dataset.yaml").exists()


def test_smooth_masks_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", IMAGE)
    rng = np.random.default_rng(0)
    write_image(tmp_path / "a_mask.png", rng.integers(0, 255, (40, 40, 3), np.uint8))
    assert init(tmp_path) == 2


def test_a_folder_without_pairs_says_how_to_name_them(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", IMAGE)
    with pytest.raises(DataError, match="NAME_mask"):
        find_pairs(tmp_path)


def test_the_error_of_an_unknown_layout_names_the_command(drives: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(drives)]) == 2
    assert f"aaff data init {drives}" in capsys.readouterr().err
    spaced = drives.rename(drives.with_name("my drives"))
    assert main(["data", "check", str(spaced)]) == 2
    assert shlex.split(capsys.readouterr().err)[-1] == str(spaced)


class TestDivision:
    def test_one_sequence_keeps_a_gap(self) -> None:
        division = divide([Path(f"{n:04}.png") for n in range(100)], 0.2)
        assert division.val == tuple(range(80, 100))
        assert max(division.train) < 75

    def test_single_pictures_are_divided_alike_every_time(self) -> None:
        names = [Path(f"{word}.jpg") for word in ("oak", "elm", "ash", "fir", "yew", "box")]
        division = divide(names, 0.3)
        assert len(division.val) == 2
        assert division == divide(names, 0.3)
        assert set(division.train) | set(division.val) == set(range(6))


def test_a_folder_that_needs_no_description_is_said_to(scenes_dir: Path, tmp_path: Path, capsys: Any) -> None:
    root = shutil.copytree(scenes_dir, tmp_path / "scenes")
    assert init(root) == 0
    assert "layout segnet" in capsys.readouterr().out
    assert init(root, "--overwrite") == 0
    assert "layout" not in capsys.readouterr().out
