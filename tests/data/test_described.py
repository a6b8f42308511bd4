from pathlib import Path

import numpy as np
import pytest

from aaff.data import open_dataset, splits
from aaff.data.layouts.described import read_description
from aaff.errors import DataError
from aaff.images import write_image
from aaff.labels import CAMVID11

YAML = """
name: lot
classes:
  road: [128, 64, 128]
  car: {color: [64, 0, 128], values: [26, 27]}
ignore: [255]
splits:
  train: {images: images, labels: "masks/*_mask.png"}
  val: {images: [images], labels: "masks/*_mask.png", names: val.txt}
"""


@pytest.fixture
def described(tmp_path: Path) -> Path:
    root = tmp_path / "lot"
    for name in ("a", "b"):
        write_image(root / "images" / f"{name}.jpg", np.zeros((1, 4, 3), np.uint8))
        write_image(root / "masks" / f"{name}_mask.png", np.array([[26, 27, 255, 0]], np.uint8))
    (root / "val.txt").write_text("b\n")
    (root / "dataset.yaml").write_text(YAML)
    return root


def test_a_yaml_file_describes_any_pair_of_folders(described: Path) -> None:
    train, val = (open_dataset(described, split) for split in ("train", "val"))
    assert (train.protocol, train.labels.names, len(train), [p.name for p in val.pairs]) == (
        "lot",
        ("road", "car"),
        2,
        ["b"],
    )
    assert train[0].label.tolist() == [[1, 1, 255, 0]]


def test_a_yaml_file_describes_colour_masks(tmp_path: Path) -> None:
    write_image(tmp_path / "i" / "a.png", np.zeros((1, 4, 3), np.uint8))
    write_image(tmp_path / "m" / "a.png", np.array([[[9, 9, 9], [1, 2, 3], [4, 5, 6], [0, 0, 0]]], np.uint8))
    (tmp_path / "dataset.yaml").write_text(
        "name: x\nencoding: colors\nclasses:\n  p: [9, 9, 9]\n  q: {color: [1, 1, 1], values: [[1, 2, 3], [4, 5, 6]]}\n"
        "splits: {all: {images: i, labels: m}}\n"
    )
    assert open_dataset(tmp_path, "all")[0].label.tolist() == [[0, 1, 1, 255]]


def test_partly_labelled_colour_masks_must_be_lossless(tmp_path: Path) -> None:
    write_image(tmp_path / "i" / "a.png", np.zeros((8, 8, 3), np.uint8))
    write_image(tmp_path / "m" / "a.jpg", np.full((8, 8, 3), 90, np.uint8))
    (tmp_path / "dataset.yaml").write_text(
        "name: x\nprotocol: camvid11\nencoding: colors\nclasses: [road]\nsplits: {all: {images: i, labels: m}}\n"
    )
    with pytest.raises(DataError, match="lossy"):
        open_dataset(tmp_path, "all")[0]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("name: lot", "nam: lot", "unknown key 'nam'; did you mean 'name'"),
        ("name: lot", "", "has no 'name'"),
        ("name: lot", "name: camvid11", "name of other classes"),
        ("name: lot", "name: lot\nencoding: color", "encoding is 'color'"),
        ("  road: [128, 64, 128]", "  no: [128, 64, 128]", "class name False.*quotes"),
        ("  road: [128, 64, 128]", "  road: [128, 64]", "three values of 0 to 255"),
        ("  road: [128, 64, 128]", "  car: [128, 64, 128]", "key 'car' .*twice"),
        ("values: [26, 27]", "value: [26, 27]", "unknown key 'value'; did you mean 'values'"),
        ("values: [26, 27]", "values: [260]", "260"),
        ("values: [26, 27]", "values: [0]", "the value 0 stands for two"),
        ("ignore: [255]", "ignore: [26]", "the value 26 stands for two"),
        ("images: images,", "", "needs 'images'"),
        ("splits:", "splits: [", "YAML"),
        ('"masks/*_mask.png"}', '"masks/*_*.png"}', r"exactly one \*"),
    ],
)
def test_a_broken_description_says_what_and_where(old: str, new: str, says: str, described: Path) -> None:
    file = described / "dataset.yaml"
    file.write_text(YAML.replace(old, new, 1))
    with pytest.raises(DataError, match=says) as error:
        open_dataset(described, "train")
    assert "dataset.yaml" in str(error.value) or "pattern" in str(error.value)


def test_a_split_whose_folder_is_missing_is_not_usable(described: Path) -> None:
    (described / "val.txt").unlink()
    assert splits(described) == ["train"]
    with pytest.raises(DataError, match=r"list .*val\.txt, which is not there"):
        open_dataset(described, "val")


PARTIAL = """
name: street photos
protocol: camvid11
classes: [road, car]
splits: {train: {images: images, labels: labels}}
"""


class TestPartialLabels:
    def test_ids_of_the_protocol_count_and_others_are_ignored(self, tmp_path: Path) -> None:
        write_image(tmp_path / "images" / "a.png", np.zeros((2, 2, 3), np.uint8))
        write_image(tmp_path / "labels" / "a.png", np.array([[3, 8], [1, 255]], np.uint8))
        (tmp_path / "dataset.yaml").write_text(PARTIAL)
        dataset = open_dataset(tmp_path, "train")
        assert dataset.labels == CAMVID11
        assert dataset.protocol == "camvid11"
        assert dataset.label(0).tolist() == [[3, 8], [255, 255]]

    def test_colours_of_the_protocol_count_and_others_are_ignored(self, tmp_path: Path) -> None:
        road, sky = (CAMVID11.colors[CAMVID11.names.index(name)] for name in ("road", "sky"))
        write_image(tmp_path / "images" / "a.png", np.zeros((1, 2, 3), np.uint8))
        write_image(tmp_path / "labels" / "a.png", np.array([[road, sky]], np.uint8))
        (tmp_path / "dataset.yaml").write_text(PARTIAL + "encoding: colors\n")
        assert open_dataset(tmp_path, "train").label(0).tolist() == [[3, 255]]

    @pytest.mark.parametrize(
        ("old", "new", "named"),
        [
            ("[road, car]", "[road, lorry]", "lorry"),
            ("camvid11", "camvid12", "camvid12"),
            ("[road, car]", "road", "classes"),
        ],
    )
    def test_what_is_not_of_the_protocol_is_named(self, tmp_path: Path, old: str, new: str, named: str) -> None:
        (tmp_path / "dataset.yaml").write_text(PARTIAL.replace(old, new))
        with pytest.raises(DataError, match=named):
            read_description(tmp_path / "dataset.yaml")
