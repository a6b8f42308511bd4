"""The licence of weights comes from the data, never from the names of its classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aaff.data import CachedDataset, Sample, open_dataset, write_dataset
from aaff.data.licence import CAMVID, SYNTHETIC, UNSPECIFIED, joined
from aaff.data.mixture import mixed
from aaff.labels import CAMVID11

FRAME = (np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8))


def written(root: Path, layout: str, *names: str) -> Path:
    write_dataset(layout, root, "train", [Sample(name, *FRAME) for name in names], CAMVID11)
    return root


@pytest.mark.parametrize(
    ("names", "licence"),
    [
        (("0001TP_006690", "Seq05VD_f00000"), CAMVID),
        (("D00001_00030",), UNSPECIFIED),
        (("0001TP_006690", "mine"), UNSPECIFIED),
    ],
)
def test_frames_of_camvid_are_known_by_their_names(tmp_path: Path, names: tuple[str, ...], licence: str) -> None:
    assert open_dataset(written(tmp_path, "segnet", *names), "train").licence == licence


def test_a_file_in_the_folder_states_it_for_any_layout(tmp_path: Path) -> None:
    written(tmp_path, "segnet", "0001TP_006690")
    (tmp_path / "licence.txt").write_text("\nCC BY 4.0\nand more words\n")
    assert open_dataset(tmp_path, "train").licence == "CC BY 4.0"


@pytest.mark.parametrize("key", ["licence", "license"])
def test_a_description_states_it(tmp_path: Path, key: str) -> None:
    written(tmp_path, "yaml", "a")
    file = tmp_path / "dataset.yaml"
    assert open_dataset(tmp_path, "train").licence == UNSPECIFIED
    file.write_text(file.read_text() + f"{key}: CC BY-SA 4.0\n")
    assert open_dataset(tmp_path, "train").licence == "CC BY-SA 4.0"


def test_synthetic_scenes_say_what_they_are(scenes_dir: Path) -> None:
    dataset = open_dataset(scenes_dir, "val")
    assert dataset.licence == SYNTHETIC
    assert CachedDataset(dataset).licence == SYNTHETIC


def test_a_mixture_has_all_licences(tmp_path: Path) -> None:
    parts = [written(tmp_path / name, "segnet", frame) for name, frame in (("a", "0001TP_1"), ("b", "mine"))]
    assert mixed([open_dataset(part, "train") for part in parts]).licence == joined([CAMVID, UNSPECIFIED])
