from pathlib import Path

import numpy as np
import pytest

from aaff.data import open_dataset, splits, write_dataset
from aaff.data.protocols import DRIVES, PROTOCOLS, drive, drive_splits, drives, protocol_labels
from aaff.data.sample import Sample
from aaff.errors import DataError, UnknownNameError
from aaff.labels import CAMVID11


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drives; the third is in train and in val, as in CamVid."""
    folder = tmp_path_factory.mktemp("drives")
    names = {"train": ["0001TP_006690", "0006R0_f00930", "0016E5_00390"], "val": ["0016E5_07959", "0016E5_07961"]}
    for split, frames in names.items():
        image, label = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
        write_dataset("segnet", folder, split, [Sample(n, image, label) for n in frames], CAMVID11)
    return folder


def test_each_fold_holds_out_one_whole_drive(root: Path) -> None:
    folds = splits(root, protocol=DRIVES)
    assert folds[:2] == ["train-without-0001TP", "drive-0001TP"]
    assert len(folds) == 6
    everything = {p.name for split in ("train", "val") for p in open_dataset(root, split).pairs}
    for held_out in ("0001TP", "0006R0", "0016E5"):
        scored = open_dataset(root, f"drive-{held_out}", protocol=DRIVES)
        trained = open_dataset(root, f"train-without-{held_out}", protocol=DRIVES)
        assert {drive(p.name) for p in scored.pairs} == {held_out}
        assert held_out not in {drive(p.name) for p in trained.pairs}
        assert {p.name for p in scored.pairs} | {p.name for p in trained.pairs} == everything
        assert (scored.protocol, scored.labels) == (DRIVES, CAMVID11)


def test_the_drive_that_is_in_train_and_val_is_one(root: Path) -> None:
    scored = open_dataset(root, "drive-0016E5", protocol=DRIVES)
    assert [p.name for p in scored.pairs] == ["0016E5_00390", "0016E5_07959", "0016E5_07961"]
    assert scored[2].label.shape == (4, 6)


def test_an_unknown_fold_is_named_with_the_nearest(root: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'drive-0006R0'"):
        open_dataset(root, "drive-0006RO", protocol=DRIVES)
    with pytest.raises(UnknownNameError, match="split of protocol camvid11-drives 'val'"):
        open_dataset(root, "val", protocol=DRIVES)


def test_a_single_drive_cannot_be_held_out() -> None:
    assert drive_splits(["0001TP_006690", "0001TP_006720"]) == []


def test_frames_are_counted_per_drive() -> None:
    assert drives(["Seq05VD_f00000", "0001TP_1", "Seq05VD_f00030"]) == {"0001TP": 1, "Seq05VD": 2}
    with pytest.raises(DataError, match="does not name its drive"):
        drives(["frame1"])


def test_an_unknown_protocol_is_named_with_the_nearest() -> None:
    assert protocol_labels(DRIVES) is CAMVID11
    with pytest.raises(UnknownNameError, match="did you mean 'camvid11'"):
        protocol_labels("camvid-11")
    assert set(PROTOCOLS) == {"camvid11", "camvid32", "camvid11-drives", "cityscapes19", "kitti", "bdd100k"}
