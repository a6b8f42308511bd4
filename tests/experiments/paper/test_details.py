"""What stands behind one number is counted as it says: confidence, borders, objects, gates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aaff.networks import create_model
from aaff.preprocess import Size
from experiments.paper.fault import Scale, demonstrate
from experiments.runner.details import Borders, Calibration, Objects, border_distance, pack_frames, unpack_frames
from experiments.runner.measure import GateRecorder, gate_statistics

RNG = np.random.default_rng(0)


def test_calibration_error_is_the_mean_distance_over_pixels() -> None:
    label = RNG.integers(0, 3, (40, 50)).astype(np.uint8)
    prediction = RNG.integers(0, 3, (40, 50)).astype(np.uint8)
    confidence = RNG.random((40, 50)).astype(np.float32)
    label[:3] = 255
    table = Calibration()
    table.update(label[:20], prediction[:20], confidence[:20])
    table.update(label[20:], prediction[20:], confidence[20:])
    counted = label != 255
    given, right = confidence[counted].astype(float), (label == prediction)[counted]
    bins = np.minimum((given * 20).astype(int), 19)
    expected = sum(abs(given[bins == b].sum() - right[bins == b].sum()) for b in range(20)) / counted.sum()
    assert table.to_dict()["ece"] == pytest.approx(expected, abs=1e-6)
    assert sum(table.to_dict()["pixels"]) == counted.sum()


def test_a_network_that_is_right_as_often_as_it_says_is_calibrated() -> None:
    confidence = np.full((100, 100), 0.75, np.float32)
    prediction = (np.arange(10_000) % 4 == 0).reshape(100, 100).astype(np.uint8)
    table = Calibration()
    table.update(np.zeros((100, 100), np.uint8), prediction, confidence)
    assert table.to_dict()["ece"] == pytest.approx(0, abs=1e-6)


def test_every_counted_pixel_lies_in_one_band_of_the_borders() -> None:
    label = np.zeros((64, 64), np.uint8)
    label[:, 32:] = 1
    label[0] = 255
    bands = Borders(2)
    bands.update(label, np.zeros_like(label))
    counts = np.array(bands.to_dict()["counts"])
    assert counts.sum() == 63 * 64
    assert counts[0].sum() == 2 * 63  # the pixels at the border itself
    assert counts[:, 1, 0].sum() == 63 * 32  # all of class 1 was missed


def test_ignored_pixels_make_no_border() -> None:
    label = np.zeros((8, 8), np.uint8)
    label[:, 4] = 255
    assert border_distance(label).min() > 1000


def test_objects_are_found_when_half_of_them_is_right() -> None:
    label = np.zeros((360, 480), np.uint8)
    label[10:14, 10:14] = 1  # 16 pixels
    label[100:140, 100:140] = 1  # 1600 pixels
    prediction = label.copy()
    prediction[100:121, 100:140] = 0  # a little more than half is lost
    table = Objects(2)
    table.update(label, prediction)
    told = table.to_dict()
    assert told["objects"][1] == [1, 0, 0, 1, 0, 0]
    assert told["found"][1] == [1, 0, 0, 0, 0, 0]
    assert sum(told["right"][1]) == 16 + 19 * 40


def test_objects_of_a_small_frame_are_measured_at_the_reference_size() -> None:
    label = np.zeros((90, 120), np.uint8)  # a sixteenth of 480×360
    label[10:12, 10:14] = 1  # 8 pixels, 128 there
    table = Objects(2)
    table.update(label, label)
    assert table.to_dict()["objects"][1] == [0, 0, 1, 0, 0, 0]


def test_gates_are_told_by_their_means_and_spreads() -> None:
    told = gate_statistics(np.array([[0.0, 1.0, 0.2], [0.0, 1.0, 0.6]], np.float32))
    assert told["mean"] == pytest.approx(1.4 / 3)
    assert told["between_frames"] == pytest.approx(0.2 / 3)
    assert told["closed"] == told["open"] == pytest.approx(1 / 3)


def test_a_network_without_gates_has_none_but_the_fusions() -> None:
    net = create_model("depthwise_aaff", 11, gate="none", sides=1, spatial=False).eval()
    with torch.inference_mode(), GateRecorder(net) as gates:
        net.logits(torch.zeros(1, 3, 64, 64))
    assert not [name for name in gates.to_dict() if "aaff" in name]


def test_the_published_fault_is_what_the_networks_page_says() -> None:
    found = demonstrate(Scale(Size(64, 64), train=8, test=3, steps=3, batch=4))["networks"]
    for name in ("depthwise_aaff", "depthwise_aaff2"):
        gates = found[name]["published"]["gates"]
        normed = [s for gate, s in gates.items() if gate != "fusion" or name == "depthwise_aaff2"]
        assert max(s["between_frames"] for s in normed) < 1e-6  # a constant, whatever the image
        assert max(s["between_frames"] for s in found[name]["sound"]["gates"].values()) > 1e-4
    dead = found["depthwise_aaff2"]["published"]
    for step in ("first_step", "last_step"):
        assert dead[step]["parts"]["sides"] == dead[step]["parts"]["backbone"] == 1.0
        assert dead[step]["parts"]["spatial"] < 0.5
    assert max(s["mean"] for s in dead["gates"].values()) == 0.0
    alive = found["depthwise_aaff"]["published"]["last_step"]["parts"]
    assert alive["backbone"] < 0.5


def test_confusion_matrices_of_frames_survive_packing() -> None:
    counts = {f"frame {i}": RNG.integers(0, 100_000, (11, 11)) for i in range(3)}
    back = unpack_frames(pack_frames(counts))
    assert list(back) == list(counts)
    assert all((back[name] == counts[name]).all() for name in counts)
    assert unpack_frames(pack_frames({})) == {}
