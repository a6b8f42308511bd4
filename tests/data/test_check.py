import json
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from aaff.cli import main
from aaff.data import check_dataset, cross_split_leaks, open_dataset, write_dataset
from aaff.data.check import CheckReport
from aaff.data.duplicates import Fingerprint, distances, fingerprint
from aaff.data.sample import Sample
from aaff.errors import DataError
from aaff.images import read_image, write_image
from aaff.labels import CAMVID11, CAMVID32, UInt8Array

SIZE = (48, 64)


def picture(seed: int) -> UInt8Array:
    """Soft random blobs: no two seeds look alike, and JPEG or scaling hardly changes them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def all_classes(seed: int) -> UInt8Array:
    ids = np.random.default_rng(seed).permutation(np.arange(SIZE[0] * SIZE[1]) % 12).reshape(SIZE)
    return np.where(ids == 11, 255, ids).astype(np.uint8)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    root = tmp_path / "clean"
    for split, drive, seeds in (("train", "0001TP", range(12)), ("val", "0016E5", range(100, 104))):
        samples = [Sample(f"{drive}_{i:05}", picture(i), all_classes(i)) for i in seeds]
        write_dataset("segnet", root, split, samples, CAMVID11)
    return root


def kinds(report: CheckReport) -> Counter[str]:
    return Counter(finding.kind for finding in report.findings)


def test_a_clean_data_set_has_no_findings(clean: Path) -> None:
    report = check_dataset(clean)
    assert (report.findings, report.warnings, report.leaks) == ((), (), ())
    assert {split: found.images for split, found in report.splits.items()} == {"train": 12, "val": 4}
    assert report.closest["train", "val"].distance >= 75
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["clean"]
    assert plain["weights"]["from"] == "train"
    assert set(plain["weights"]["enet-log"]) == set(CAMVID11.names)


def test_every_fault_of_a_broken_copy_is_listed(clean: Path) -> None:
    def image(i: int) -> Path:
        return clean / "train" / f"0001TP_{i:05}.png"

    def label(i: int) -> Path:
        return clean / "trainannot" / f"0001TP_{i:05}.png"

    label(0).unlink()
    image(1).unlink()
    image(2).write_bytes(image(2).read_bytes()[:100])
    image(3).write_text("text")
    label(4).write_bytes(label(4).read_bytes()[:100])
    write_image(label(5), np.zeros((10, 20), np.uint8))
    ids = np.zeros(SIZE, np.uint8)
    ids[0, :5], ids[1, :2] = 77, 200
    write_image(label(6), ids)
    write_image(label(7), np.full(SIZE, 11, np.uint8))
    for path in (clean / "valannot").iterdir():
        found = np.array(Image.open(path))
        write_image(path, np.where(found == 10, 9, found).astype(np.uint8))
    shutil.copy(image(8), clean / "val" / "0016E5_00100.png")
    Image.open(image(9)).save(clean / "a.jpg", quality=50)
    write_image(clean / "val" / "0016E5_00101.png", read_image(clean / "a.jpg"))
    (clean / "test").mkdir()

    report = check_dataset(clean)
    assert kinds(report) == {
        "unusable split": 1,
        "missing label": 1,
        "missing image": 1,
        "unreadable image": 2,
        "unreadable label": 1,
        "size mismatch": 1,
        "unknown values": 1,
        "all void": 1,
        "absent class": 1,
        "identical frames": 1,
        "near-identical frames": 1,
    }
    said = {finding.kind: finding for finding in report.findings}
    assert "testannot" in said["unusable split"].message
    assert said["missing label"].files == (image(0),)
    assert said["missing image"].files == (label(1),)
    assert said["unreadable label"].files == (label(4),)
    assert "20x10" in said["size mismatch"].message
    assert "64x48" in said["size mismatch"].message
    assert said["unknown values"].values == {77: 5, 200: 2}
    assert str(label(6)) in said["unknown values"].message
    assert said["all void"].files == (label(7),)
    assert said["absent class"].message == "class 'bicyclist' has no pixel in val"
    assert [(leak.first.path, leak.second.path.name, leak.identical) for leak in report.leaks] == [
        (image(8), "0016E5_00100.png", True),
        (image(9), "0016E5_00101.png", False),
    ]
    assert report.splits["train"].images == 12 - 7  # those with image and label in order


def test_unknown_colours_are_listed_with_value_and_count(tmp_path: Path) -> None:
    write_dataset("kaggle", tmp_path, "train", [Sample("a_1", picture(0), all_classes(0))], CAMVID11)
    path = tmp_path / "train_labels" / "a_1_L.png"
    mask = CAMVID11.colorize(all_classes(0))
    mask[:3, 0] = (9, 8, 7)
    write_image(path, mask)
    finding = next(f for f in check_dataset(tmp_path).findings if f.kind == "unknown values")
    assert finding.files == (path,)
    assert finding.to_dict()["values"] == [{"value": [9, 8, 7], "pixels": 3}]


def test_a_recording_in_two_splits_is_a_warning_and_no_finding(clean: Path) -> None:
    samples = [Sample(f"0001TP_{i:05}", picture(i), all_classes(i)) for i in (200, 201)]
    write_dataset("segnet", clean, "test", samples, CAMVID11)
    report = check_dataset(clean)
    assert report.findings == ()
    assert [w.message[:66] for w in report.warnings] == [
        "recording 0001TP is in train (12 frames) and in test (2): a score "
    ]
    # Where no drive is shared on purpose, there is nothing to warn of.
    assert check_dataset(clean, protocol="camvid11-drives").warnings == ()


def test_drives_are_checked_against_each_other(clean: Path) -> None:
    shutil.copy(clean / "train" / "0001TP_00003.png", clean / "val" / "0016E5_00102.png")
    report = check_dataset(clean, protocol="camvid11-drives")
    assert list(report.splits) == ["drive-0001TP", "drive-0016E5"]
    assert kinds(report) == {"identical frames": 1}


def test_withheld_labels_are_one_finding(clean: Path) -> None:
    void = np.full(SIZE, 255, np.uint8)
    write_dataset("segnet", clean, "test", [Sample(f"x_{i}", picture(300 + i), void) for i in range(3)], CAMVID11)
    report = check_dataset(clean)
    assert kinds(report) == {"all void": 1}
    assert len(report.findings[0].files) == 3


def test_listed_frames_without_files_are_findings(tmp_path: Path) -> None:
    write_dataset("original", tmp_path, "train", [Sample("a_1", picture(0), all_classes(0))], CAMVID11)
    (tmp_path / "train.txt").write_text("a_1\nnowhere\n")
    finding = check_dataset(tmp_path).findings[0]
    assert (finding.kind, finding.message) == ("missing frame", "the listed frame nowhere has neither image nor label")


def test_an_empty_split_and_two_files_of_a_frame_are_findings(clean: Path) -> None:
    for folder in ("test", "testannot"):
        (clean / folder).mkdir()
    shutil.copy(clean / "val" / "0016E5_00100.png", clean / "val" / "0016E5_00100.bmp")
    report = check_dataset(clean)
    assert kinds(report) == {"unusable split": 2}
    assert any("is empty" in finding.message for finding in report.findings)
    assert any("belong to the frame '0016E5_00100'" in finding.message for finding in report.findings)


def test_what_cannot_be_checked_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="no known layout"):
        check_dataset(tmp_path)


# --- fingerprints ----------------------------------------------------------------------------------------------------


def test_a_fingerprint_survives_what_does_not_change_the_scene(tmp_path: Path) -> None:
    frame = picture(1)
    Image.fromarray(frame).save(tmp_path / "a.jpg", quality=60)
    changed = {
        "larger": np.asarray(cv2.resize(frame, (200, 150), interpolation=cv2.INTER_LINEAR), np.uint8),
        "jpeg": read_image(tmp_path / "a.jpg"),
        "brighter": np.clip(frame.astype(int) + 15, 0, 255).astype(np.uint8),
    }
    original = fingerprint(frame)
    for name, other in changed.items():
        again = fingerprint(other)
        assert distances([original], [again])[0, 0] < 45, name
        assert again.digest != original.digest, name
    assert distances([original], [fingerprint(frame[:, ::-1])])[0, 0] > 75


def test_distances_count_differing_bits() -> None:
    rng = np.random.default_rng(0)
    prints = [Fingerprint(rng.integers(0, 2, 256).astype(bool), b"") for _ in range(7)]
    expected = [[int((a.bits != b.bits).sum()) for b in prints[3:]] for a in prints[:3]]
    assert distances(prints[:3], prints[3:]).tolist() == expected


def test_leaks_are_found_without_reading_labels(clean: Path) -> None:
    shutil.copy(clean / "train" / "0001TP_00005.png", clean / "val" / "0016E5_00103.png")
    shutil.rmtree(clean / "valannot")
    shutil.copytree(clean / "val", clean / "valannot")  # colour pictures are no labels
    train, val = open_dataset(clean, "train"), open_dataset(clean, "val")
    (leak,) = cross_split_leaks([train, val])
    assert (leak.first.split, leak.first.path.name) == ("train", "0001TP_00005.png")
    assert (leak.second.split, leak.second.path.name, leak.distance) == ("val", "0016E5_00103.png", 0)
    assert "identical to" in str(leak)
    assert cross_split_leaks([train]) == []


# --- the commands ----------------------------------------------------------------------------------------------------


def test_the_command_says_clean_by_its_status(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(clean), "--json", str(tmp_path / "c.json")]) == 0
    printed = capsys.readouterr().out
    assert "layout segnet, protocol camvid11" in printed
    assert "no findings, no warnings in 16 readable frames" in printed
    assert json.loads((tmp_path / "c.json").read_text())["clean"] is True


def test_the_command_lists_findings_and_json_has_all(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted((clean / "trainannot").iterdir())[:8]:
        path.unlink()
    assert main(["data", "check", str(clean), "--json", str(tmp_path / "c.json")]) == 1
    printed = capsys.readouterr().out
    assert printed.count("has no label") == 5
    assert "and 3 more; --json FILE lists all" in printed
    assert "8 findings" in printed
    found = json.loads((tmp_path / "c.json").read_text())["findings"]
    assert [f["kind"] for f in found] == ["missing label"] * 8


def test_the_command_that_could_not_run_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["check", str(tmp_path / "no")], ["stats", str(tmp_path / "no")], ["check", str(tmp_path)]):
        assert main(["data", *words]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("aaff: ")
        assert captured.err.count("\n") == 1
        assert "Traceback" not in captured.err


def test_the_statistics_are_printed_and_written(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "stats", str(clean), "--json", str(tmp_path / "s.json")]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in CAMVID11.names)
    plain = json.loads((tmp_path / "s.json").read_text())
    assert set(plain["splits"]) == {"train", "val"}
    assert plain["splits"]["val"]["sizes"] == {"64x48": 4}
    assert sum(c["share"] for c in plain["splits"]["val"]["per_class"].values()) == pytest.approx(1)
    assert main(["data", "stats", str(clean), "--split", "val"]) == 0
    assert "val" in capsys.readouterr().out


def test_the_commands_take_a_protocol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = np.resize(np.arange(31), SIZE).astype(np.uint8)
    write_dataset("kaggle", tmp_path, "train", [Sample("0001TP_1", picture(0), label)], CAMVID32)
    assert main(["data", "check", str(tmp_path), "--protocol", "camvid32"]) == 0
    assert "TrafficLight" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path), "--protocol", "camvid12"]) == 2
    assert "did you mean 'camvid" in capsys.readouterr().err
