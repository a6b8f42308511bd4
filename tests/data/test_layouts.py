import string
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aaff.data import list_layouts, open_dataset, splits, write_dataset
from aaff.data.layouts import UnknownValuesError
from aaff.data.layouts.lists import read_frame_list, write_frame_list
from aaff.data.sample import Sample
from aaff.errors import AaffError, DataError, OptionError, UnknownNameError
from aaff.images import write_image
from aaff.labels import CAMVID11, CAMVID32, CITYSCAPES19, LabelMap

COLOR = st.tuples(*[st.integers(0, 255)] * 3)
TEXT = st.text(string.ascii_letters + string.digits + " ,;:'\"#-_.&äß日", min_size=1, max_size=12)
FRAME_NAMES = TEXT.map(lambda t: t.strip(" .")).filter(bool) | st.sampled_from(["0001TP_006690", "a_L", "a_L_L", "a"])
CLASS_NAMES = TEXT.map(lambda t: t.strip(" #_")).filter(
    lambda n: any(c.isalnum() for c in n) and n.lower() not in ("void", "ignore")
)


@st.composite
def own_labels(draw: st.DrawFn) -> LabelMap:
    """A label map that no known data set has."""
    names = draw(st.lists(CLASS_NAMES, min_size=1, max_size=6, unique_by=lambda n: n.lower()))
    colors = draw(st.lists(COLOR, min_size=len(names) + 2, max_size=len(names) + 2, unique=True))
    return LabelMap("own set", ("zebra crossing", *names), tuple(colors[:-1]), colors[-1])


@st.composite
def frames(draw: st.DrawFn, labels: LabelMap) -> list[Sample]:
    """Samples of changing sizes with every kind of id in them."""
    names = draw(st.lists(FRAME_NAMES, min_size=1, max_size=3, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    for name in sorted(names):
        height, width = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
        ids = rng.integers(0, labels.num_classes + 1, (height, width))
        label = np.where(ids == labels.num_classes, 255, ids).astype(np.uint8)
        found.append(Sample(name, rng.integers(0, 256, (height, width, 3)).astype(np.uint8), label))
    return found


def same(found: Sequence[Sample], wanted: Sequence[Sample]) -> bool:
    return [s.name for s in found] == [s.name for s in wanted] and all(
        np.array_equal(a.image, b.image) and np.array_equal(a.label, b.label)
        for a, b in zip(found, wanted, strict=True)
    )


@settings(max_examples=60)
@given(st.data())
def test_what_a_layout_writes_it_reads_again(data: st.DataObject) -> None:
    fixed = {"segnet": [CAMVID11], "cityscapes": [CITYSCAPES19]}
    layout = data.draw(st.sampled_from(list_layouts()))
    known = st.sampled_from(fixed.get(layout, [CAMVID11, CAMVID32]))
    labels = data.draw(known if layout in fixed else known | own_labels())
    samples = {split: data.draw(frames(labels)) for split in ("train", "val")}
    if layout == "original":  # one folder holds all its splits
        samples["val"] = [Sample(f"{s.name} val", s.image, s.label) for s in samples["val"]]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "own set"
        for split, chosen in samples.items():
            write_dataset(layout, root, split, iter(chosen), labels)
        assert splits(root) == ["train", "val"]
        for split, chosen in samples.items():
            dataset = open_dataset(root, split, protocol="camvid32" if labels is CAMVID32 else None)
            assert dataset.layout == layout
            assert (dataset.labels.names, dataset.labels.colors) == (labels.names, labels.colors)
            assert dataset.labels.void_color == labels.void_color
            assert same(list(dataset), sorted(chosen, key=lambda s: s.name))


@given(st.lists(FRAME_NAMES, unique=True, max_size=6))
def test_a_list_of_frames_survives_its_file(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_frame_list(Path(folder) / "train.txt", names)
        assert read_frame_list(Path(folder) / "train.txt") == names


@pytest.fixture
def frame() -> Sample:
    label = np.array([[0, 3, 255], [10, 5, 8]], np.uint8)
    return Sample("0001TP_006690", np.full((2, 3, 3), 90, np.uint8), label)


def raw_frame() -> Sample:
    """All 31 raw classes and void in one row."""
    label = np.array([[*range(31), 255]], np.uint8)
    return Sample("0016E5_07959", np.zeros((1, 32, 3), np.uint8), label)


# --- unknown values ---------------------------------------------------------------------------------------------------


def test_an_unknown_id_is_named_with_file_and_count(frame: Sample, tmp_path: Path) -> None:
    write_dataset("segnet", tmp_path, "train", [frame], CAMVID11)
    label = tmp_path / "trainannot" / "0001TP_006690.png"
    write_image(label, np.array([[12, 77, 77], [0, 1, 11]], np.uint8))
    dataset = open_dataset(tmp_path, "train")  # opening looks at names alone
    with pytest.raises(UnknownValuesError, match=r"77 \(2 pixels\), 12 \(1 pixel\)") as error:
        dataset[0]
    assert error.value.path == label
    assert error.value.values == {77: 2, 12: 1}


@pytest.mark.parametrize("layout", ["kaggle", "original"])
def test_an_unknown_colour_is_named_with_file_and_count(layout: str, frame: Sample, tmp_path: Path) -> None:
    write_dataset(layout, tmp_path, "train", [frame], CAMVID11)
    dataset = open_dataset(tmp_path, "train")
    label = dataset.pairs[0].label
    mask = CAMVID11.colorize(frame.label)
    mask[0, :2] = (1, 2, 3)
    write_image(label, mask)
    with pytest.raises(UnknownValuesError, match=r"colour \(1, 2, 3\) \(2 pixels\)") as error:
        dataset[0]
    assert (error.value.path, error.value.values) == (label, {(1, 2, 3): 2})


def test_a_mask_saved_as_jpeg_gets_the_reason(frame: Sample, tmp_path: Path) -> None:
    write_dataset("kaggle", tmp_path, "train", [frame], CAMVID11)
    label = open_dataset(tmp_path, "train").pairs[0].label
    Image.open(label).resize((64, 64), Image.Resampling.BILINEAR).save(label.with_suffix(".jpg"))
    label.unlink()
    with pytest.raises(DataError, match=r"JPEG.*PNG"):
        open_dataset(tmp_path, "train").label(0)


# --- original CamVid --------------------------------------------------------------------------------------------------


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """Frames of all four drives as the authors' folders have them, without lists."""
    names = ["0001TP_006690", "0001TP_008520", "0001TP_008550", "0006R0_f00930", "0016E5_07957"]
    names += ["0016E5_07959", "0016E5_08159", "0016E5_08161", "Seq05VD_f00000"]
    sample = raw_frame()
    write_dataset("original", tmp_path, "train", [Sample(n, sample.image, sample.label) for n in names], CAMVID32)
    (tmp_path / "train.txt").unlink()
    return tmp_path


def test_camvid_names_tell_the_splits_of_the_segnet_release(original: Path) -> None:
    assert splits(original) == ["train", "val", "test"]
    found = {split: [p.name for p in open_dataset(original, split).pairs] for split in splits(original)}
    assert found == {
        "train": ["0001TP_006690", "0001TP_008520", "0006R0_f00930", "0016E5_07957", "0016E5_08161"],
        "val": ["0016E5_07959", "0016E5_08159"],
        "test": ["0001TP_008550", "Seq05VD_f00000"],
    }


def test_lists_of_frames_win_over_names(original: Path) -> None:
    (original / "val.txt").write_text(
        "/SegNet/CamVid/val/0006R0_f00930.png /SegNet/CamVid/valannot/0006R0_f00930.png\n\n0016E5_07957\n"
    )
    assert splits(original) == ["val"]
    assert [p.name for p in open_dataset(original, "val").pairs] == ["0006R0_f00930", "0016E5_07957"]
    (original / "val.txt").write_text("0016E5_07957\nnowhere\n")
    with pytest.raises(DataError, match="1 listed frames have neither image nor label: nowhere"):
        open_dataset(original, "val")
    (original / "val.txt").write_text("0016E5_07957\n0016E5_07957.png\n")
    with pytest.raises(DataError, match=r"val\.txt, line 2"):
        open_dataset(original, "val")


def test_names_that_tell_no_split_ask_for_lists(original: Path) -> None:
    (original / "701_StillsRaw_full" / "holiday_1.png").touch()
    with pytest.raises(DataError, match=r"'holiday_1' does not tell its split.*write such lists"):
        splits(original)


# --- Cityscapes -------------------------------------------------------------------------------------------------------


def test_cityscapes_label_ids_become_train_ids(tmp_path: Path) -> None:
    for folder, ending in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
        path = tmp_path / folder / "val" / "ulm" / f"ulm_000000_000019_{ending}.png"
        if folder == "gtFine":
            write_image(path, np.array([[*range(34)]], np.uint8))
            write_image(path.with_name("ulm_000000_000019_gtFine_instanceIds.png"), np.zeros((1, 34), np.uint8))
        else:
            write_image(path, np.zeros((1, 34, 3), np.uint8))
    dataset = open_dataset(tmp_path, "val")
    assert (dataset.protocol, dataset.pairs[0].name) == ("cityscapes19", "ulm_000000_000019")
    counted = {label_id: train_id for label_id, train_id in enumerate(dataset[0].label[0].tolist()) if train_id != 255}
    names = {label_id: CITYSCAPES19.names[train_id] for label_id, train_id in counted.items()}
    assert sorted(counted.values()) == list(range(19))
    assert {names[7], names[11], names[24], names[26], names[33]} == {"road", "building", "person", "car", "bicycle"}
    with pytest.raises(OptionError, match="cityscapes19, not camvid11"):
        open_dataset(tmp_path, "val", protocol="camvid11")


def test_cityscapes_train_ids_are_preferred(tmp_path: Path) -> None:
    sample = Sample("ulm_1", np.zeros((1, 2, 3), np.uint8), np.array([[18, 255]], np.uint8))
    write_dataset("cityscapes", tmp_path, "train", [sample], CITYSCAPES19)
    write_image(tmp_path / "gtFine" / "train" / "ulm" / "ulm_1_gtFine_labelIds.png", np.array([[7, 7]], np.uint8))
    assert open_dataset(tmp_path, "train")[0].label.tolist() == [[18, 255]]


# --- finding the layout -----------------------------------------------------------------------------------------------


def test_a_split_is_usable_when_it_alone_is_present(frame: Sample, tmp_path: Path) -> None:
    for layout, labels in (("segnet", CAMVID11), ("kaggle", CAMVID11), ("yaml", CAMVID11), ("original", CAMVID11)):
        write_dataset(layout, tmp_path / layout, "test", [frame], labels)
        assert splits(tmp_path / layout) == ["test"]
        assert same(list(open_dataset(tmp_path / layout, "test")), [frame])


def test_several_splits_can_be_opened_as_one(frame: Sample, tmp_path: Path) -> None:
    write_dataset("segnet", tmp_path, "train", [replace(frame, name="b")], CAMVID11)
    write_dataset("segnet", tmp_path, "val", [replace(frame, name="a")], CAMVID11)
    both = open_dataset(tmp_path, "train+val")
    assert both.split == "train+val"
    assert [both[index].name for index in range(len(both))] == ["b", "a"]
    with pytest.raises(OptionError, match="twice"):
        open_dataset(tmp_path, "train+train")
    with pytest.raises(UnknownNameError, match="tset"):
        open_dataset(tmp_path, "train+tset")


def test_half_a_split_says_which_half_is_missing(frame: Sample, tmp_path: Path) -> None:
    write_dataset("segnet", tmp_path, "train", [frame], CAMVID11)
    (tmp_path / "val").mkdir()
    assert splits(tmp_path) == ["train"]
    with pytest.raises(DataError, match="valannot"):
        open_dataset(tmp_path, "val")
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        open_dataset(tmp_path, "trian")


def test_nothing_that_fits_names_what_was_looked_for(frame: Sample, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError) as error:
        open_dataset(tmp_path, "train")
    text = str(error.value)
    assert all(f"{name}: " in text for name in list_layouts())
    assert all(
        place in text for place in ("trainannot", "class_dict.csv", "label_colors.txt", "gtFine", "dataset.yaml")
    )
    write_dataset("segnet", tmp_path / "CamVid", "train", [frame], CAMVID11)
    with pytest.raises(DataError, match=r"did you mean .*CamVid\?"):
        open_dataset(tmp_path, "train")


def test_missing_and_empty_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        open_dataset(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match="is empty"):
        open_dataset(tmp_path, "train")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file, not a folder"):
        open_dataset(tmp_path / "file", "train")
    for folder in ("train", "trainannot"):
        (tmp_path / folder).mkdir()
    with pytest.raises(DataError, match=r"split 'train' of .* is empty"):
        open_dataset(tmp_path, "train")


def test_a_layout_can_be_named(frame: Sample, tmp_path: Path) -> None:
    write_dataset("segnet", tmp_path, "train", [frame], CAMVID11)
    assert open_dataset(tmp_path, "train", layout="segnet").layout == "segnet"
    with pytest.raises(DataError, match=r"kaggle.*train_labels/"):
        open_dataset(tmp_path, "train", layout="kaggle")
    with pytest.raises(UnknownNameError, match="did you mean 'segnet'"):
        open_dataset(tmp_path, "train", layout="sgnet")
    with pytest.raises(UnknownNameError, match="unknown layout"):
        write_dataset("sgnet", tmp_path, "train", [frame], CAMVID11)


# --- writing ----------------------------------------------------------------------------------------------------------


def broken_samples() -> Iterator[tuple[Sample, str]]:
    image, label = np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint8)
    yield Sample("a", image.astype(np.float32), label), "uint8"
    yield Sample("a", image[..., 0], label), "RGB"
    yield Sample("a", image, label[:1]), "size"
    yield Sample("a", image, label + 11), "id 11"
    for name in ("", ".hidden", "a/b", "a\nb", " a", ".."):
        yield Sample(name, image, label), "frame name"


@pytest.mark.parametrize(("sample", "says"), list(broken_samples()))
def test_a_sample_that_breaks_the_contract_is_not_written(sample: Sample, says: str, tmp_path: Path) -> None:
    for layout in ("segnet", "kaggle", "original", "yaml"):
        with pytest.raises(DataError, match=says):
            write_dataset(layout, tmp_path / layout, "train", [sample], CAMVID11)
        assert not list((tmp_path / layout).rglob("*.png"))


def test_a_name_that_occurs_twice_is_refused(frame: Sample, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="occurs twice"):
        write_dataset("segnet", tmp_path, "train", [frame, frame], CAMVID11)


@pytest.mark.parametrize("layout", ["segnet", "cityscapes"])
def test_a_layout_of_fixed_classes_refuses_others(layout: str, tmp_path: Path) -> None:
    with pytest.raises(AaffError, match=r"holds? the classes of"):
        write_dataset(layout, tmp_path, "train", [raw_frame()], CAMVID32)


@pytest.mark.parametrize("name", ["void", "Unlabelled", " blank", "two\u2028lines", "#road"])
def test_class_names_that_a_table_cannot_hold_are_refused(name: str, frame: Sample, tmp_path: Path) -> None:
    labels = LabelMap("x", (name, *CAMVID11.names[1:]), CAMVID11.colors)
    for layout in ("kaggle", "original"):
        with pytest.raises(DataError, match="cannot be written"):
            write_dataset(layout, tmp_path, "train", [frame], labels)
