from pathlib import Path

import numpy as np
import pytest

from aaff.data import open_dataset, write_dataset
from aaff.data.layouts.tables import read_class_dict, read_label_colors
from aaff.data.sample import Sample
from aaff.errors import DataError, OptionError
from aaff.labels import CAMVID11, CAMVID32, CAMVID_RAW, LabelMap


@pytest.fixture
def frame() -> Sample:
    label = np.array([[0, 3, 255], [10, 5, 8]], np.uint8)
    return Sample("0001TP_006690", np.full((2, 3, 3), 90, np.uint8), label)


def raw_frame() -> Sample:
    """All 31 raw classes and void in one row."""
    label = np.array([[*range(31), 255]], np.uint8)
    return Sample("0016E5_07959", np.zeros((1, 32, 3), np.uint8), label)


@pytest.mark.parametrize("layout", ["kaggle", "original"])
def test_colour_masks_give_the_raw_and_the_merged_classes(layout: str, tmp_path: Path) -> None:
    write_dataset(layout, tmp_path, "val", [raw_frame()], CAMVID32)
    raw = open_dataset(tmp_path, "val", protocol="camvid32")
    merged = open_dataset(tmp_path, "val")
    assert (raw.protocol, merged.protocol) == ("camvid32", "camvid11")
    into = {name: CAMVID11.names.index(m) for name, _, m in CAMVID_RAW if m != "void"}
    assert raw[0].label.tolist() == [[*range(31), 255]]
    assert merged[0].label.tolist() == [[*(into[name] for name in CAMVID32.names), 255]]


def test_merged_labels_cannot_give_the_raw_classes(frame: Sample, tmp_path: Path) -> None:
    for layout in ("segnet", "kaggle", "original", "yaml"):
        write_dataset(layout, tmp_path / layout, "train", [frame], CAMVID11)
        with pytest.raises(OptionError, match="camvid32"):
            open_dataset(tmp_path / layout, "train", protocol="camvid32")


@pytest.mark.parametrize(
    "text",
    [
        "name,r,g,b\nSky,128,128,128\nColumn_Pole,192,192,128\n",
        "name, r, g, b\nSky, 128, 128, 128\nColumn_Pole, 192, 192, 128\n",
        "\ufeffName,R,G,B\r\nSky,128,128,128\r\nColumn_Pole,192,192,128\r\n",
        "class,red,green,blue,camvid11\nSky,128,128,128,sky\nColumn_Pole,192,192,128,pole\n",
        "r,g,b,class_name\n128,128,128,Sky\n192,192,128,Column_Pole\n",
        "Sky,128,128,128\n\nColumn_Pole,192,192,128",
        '"name","r","g","b"\n"Sky","128","128","128"\n"Column_Pole","192","192","128"\n',
    ],
    ids=["plain", "blanks", "bom", "words", "other order", "no headings", "quoted"],
)
def test_class_dict_spellings_in_circulation_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "class_dict.csv").write_text(text, encoding="utf-8")
    rows = read_class_dict(tmp_path / "class_dict.csv")
    assert rows == [("Sky", (128, 128, 128)), ("Column_Pole", (192, 192, 128))]


def test_label_colors_of_the_original_are_read(tmp_path: Path) -> None:
    (tmp_path / "label_colors.txt").write_text("64 128 64\tAnimal\n128 0 0\t\tBuilding\n\n# x\n0 0 0  Void of all\n")
    rows = read_label_colors(tmp_path / "label_colors.txt")
    assert rows == [("Animal", (64, 128, 64)), ("Building", (128, 0, 0)), ("Void of all", (0, 0, 0))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("name,r,g\nSky,1,2\n", "no column for blue"),
        ("name,r,g,b\n", "names no class"),
        ("name,r,g,b\nSky,1,2\n", "line 2: 3 values"),
        ("name,r,g,b\nSky,1,2,256\n", "line 2: the colour 1 2 256"),
        ("name,r,g,b\nSky,1,2,-3\n", "line 2: the colour 1 2 -3"),
        ("name,r,g,b\nSky,1,2,3\nSea,1,2,3\n", "colour .* twice"),
        ("name,r,g,b\nSky,1,2,3\nSky,1,2,4\n", "class .Sky. twice"),
    ],
)
def test_a_broken_class_dict_names_the_line(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "class_dict.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        read_class_dict(tmp_path / "class_dict.csv")


def test_rows_in_another_order_give_the_same_ids(tmp_path: Path) -> None:
    write_dataset("kaggle", tmp_path, "val", [raw_frame()], CAMVID32)
    file = tmp_path / "class_dict.csv"
    heading, *rows = file.read_text().splitlines()
    file.write_text("\n".join([heading.replace(",", ", "), *(r.replace(",", ", ") for r in reversed(rows))]))
    assert open_dataset(tmp_path, "val", protocol="camvid32")[0].label.tolist() == [[*range(31), 255]]


def test_kaggle_labels_without_their_ending_are_found(frame: Sample, tmp_path: Path) -> None:
    write_dataset("kaggle", tmp_path, "train", [frame], CAMVID11)
    label = tmp_path / "train_labels" / "0001TP_006690_L.png"
    label.rename(label.with_name("0001TP_006690.png"))
    assert np.array_equal(open_dataset(tmp_path, "train")[0].label, frame.label)


def test_masks_without_their_table_say_so(frame: Sample, tmp_path: Path) -> None:
    write_dataset("kaggle", tmp_path, "train", [frame], CAMVID11)
    (tmp_path / "class_dict.csv").unlink()
    with pytest.raises(DataError, match=r"no class_dict\.csv"):
        open_dataset(tmp_path, "train")


def test_a_table_of_other_classes_is_a_data_set_of_its_own(tmp_path: Path) -> None:
    own = LabelMap("farm", ("cow", "grass"), ((1, 1, 1), (0, 255, 0)), (0, 0, 0))
    sample = Sample("a", np.zeros((1, 3, 3), np.uint8), np.array([[0, 1, 255]], np.uint8))
    write_dataset("kaggle", tmp_path / "farm", "train", [sample], own)
    dataset = open_dataset(tmp_path / "farm", "train")
    assert (dataset.protocol, dataset.labels) == ("farm", own)
    with pytest.raises(OptionError, match="'cow', which CamVid does not know"):
        open_dataset(tmp_path / "farm", "train", protocol="camvid11")


def test_a_second_split_must_have_the_classes_of_the_first(frame: Sample, tmp_path: Path) -> None:
    for layout in ("kaggle", "original", "yaml"):
        write_dataset(layout, tmp_path / layout, "train", [frame], CAMVID11)
        with pytest.raises(DataError, match="other classes"):
            write_dataset(layout, tmp_path / layout, "val", [raw_frame()], CAMVID32)
