"""From a checkpoint to the deployed file on the command line, and the gate in between."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from aaff import published
from aaff.card import ModelCard
from aaff.cli import main
from aaff.errors import DataError
from aaff.export.export import describe
from aaff.export.parity import compare
from aaff.labels import CAMVID11
from aaff.loading import load
from aaff.networks.weights import read_checkpoint, save_checkpoint
from aaff.preprocess import Size
from aaff.runtime.model_file import read_model_file

CARD = ModelCard("made_up", {}, CAMVID11, "camvid11", Size(20, 10))


class Fixed:
    """An engine that returns the red channel, wrong in the first pixels of every frame."""

    card = CARD

    def __init__(self, name, precision, wrong=0):
        self.name, self.precision, self.wrong = name, precision, wrong

    def infer(self, frames):
        maps = frames[..., 0].copy()
        maps.reshape(len(maps), -1)[:, : self.wrong] = 10
        return maps, None


def pairs(labelled=True, frames=5):
    draw = np.random.default_rng(0)
    for _ in range(frames):
        frame = draw.integers(0, 10, (10, 20, 3), np.uint8)
        yield frame, frame[..., 0] if labelled else None


def test_the_comparison_counts_pixels_and_scores():
    engines = [Fixed("openvino", "fp32"), Fixed("onnxruntime", "fp32", wrong=2)]
    parity = compare(Fixed("torch", "fp32"), engines, pairs(), "made up")
    assert parity.frames == 5
    assert parity.reference == 1.0
    assert [row.agreement for row in parity.rows] == [1.0, 0.99]
    assert [row.passed for row in parity.rows] == [True, False]
    assert parity.rows[1].miou == pytest.approx(1 - parity.rows[1].loss)
    assert not parity.passed
    kept = json.loads(json.dumps(parity.to_dict()))
    assert kept["passed"] is False
    assert kept["rows"][1]["engine"] == "onnxruntime"


def test_int8_may_move_pixels_but_not_its_score():
    # A pixel in 200 differs, but where no label counts it.
    def unlabelled_corner():
        for frame, label in pairs():
            label = label.copy()
            label[0, 0] = 255
            yield frame, label

    small = compare(Fixed("torch", "fp32"), [Fixed("openvino", "int8", wrong=1)], unlabelled_corner(), "made up")
    assert small.rows[0].agreement == 0.995
    assert small.passed
    large = compare(Fixed("torch", "fp32"), [Fixed("openvino", "int8", wrong=4)], pairs(), "made up")
    assert large.rows[0].loss > 0.005
    assert not large.passed


def test_int8_is_not_judged_without_labels_and_nothing_without_frames():
    with pytest.raises(DataError, match="needs frames with labels"):
        compare(Fixed("torch", "fp32"), [Fixed("openvino", "int8")], pairs(labelled=False), "made up")
    with pytest.raises(DataError, match="no frame"):
        compare(Fixed("torch", "fp32"), [Fixed("openvino", "fp32")], pairs(frames=0), "made up")


@pytest.fixture
def built(exported, monkeypatch):
    """What ``build`` was asked for; it gives graphs that exist, since making them takes seconds, once elsewhere."""
    asked = []

    def build(net, card, path, *, calibration, confidence):
        asked.append((calibration and {frame.shape for frame in calibration}, confidence))
        kind = "int8" if calibration else "fp32"
        data = read_model_file(exported[kind]).data
        return describe(data, card, path, precision=kind, stride=net.stride, any_size=True)

    monkeypatch.setattr("aaff.export.export.build", build)
    return asked


def test_a_run_becomes_a_file_beside_its_checkpoint_compared_on_synthetic_scenes(
    tiny_checkpoint, tiny_network, built, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("aaff.cli.export.SYNTHETIC", 4)
    run, report = tmp_path / "run", tmp_path / "parity.json"
    run.mkdir()
    shutil.copy(tiny_checkpoint, run)
    assert main(["export", str(run), "--size", "64x48", "--json", str(report)]) == 0
    assert built == [(None, False)]
    said = capsys.readouterr().out
    assert "synthetic street scenes" in said
    assert said.count("passed") == 2
    assert "for tests only" in said  # the licence of the weights
    written = read_model_file(run / "best-fp32.onnx")
    assert written.card.size == Size(64, 48)
    assert written.score == {}  # synthetic scenes are no split
    assert written.parity == json.loads(report.read_text())
    assert [row["engine"] for row in written.parity["rows"]] == ["openvino", "onnxruntime"]
    assert all(row["agreement"] >= 0.999 for row in written.parity["rows"])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published, "weights_folder", lambda: run)
    written.path.unlink()
    assert main(["export", "best"]) == 0
    assert Path("best-fp32.onnx").is_file()
    assert not written.path.exists(), "published weights are left alone"


def test_weights_in_int8_cannot_overflow_sums_of_two_products_in_16_bits(exported):
    graph = onnx.load_from_string(read_model_file(exported["int8"]).data).graph
    tables = {table.name: onnx.numpy_helper.to_array(table) for table in graph.initializer}
    rounded = {n.output[0]: tables[n.input[0]] for n in graph.node if n.input[0] in tables and "Dequant" in n.op_type}
    dense = [
        rounded[node.input[1]]
        for node in graph.node
        if node.op_type == "Conv" and all(a.i == 1 for a in node.attribute if a.name == "group")
    ]
    largest = max(int(np.abs(table.astype(np.int16)).max()) for table in dense)
    assert largest > 32
    assert 2 * 255 * largest < 2**15


def test_int8_from_the_command_line_and_the_gate_that_refuses(
    tiny_checkpoint, tiny_network, built, scenes_dir, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "model.onnx"
    words = ["export", str(tiny_checkpoint), "--precision", "int8", "--data", str(scenes_dir), "--out", str(out)]
    monkeypatch.setattr("aaff.export.parity.LOSS", -1.0)  # nothing can pass
    monkeypatch.setattr("aaff.export.quantization.FRAMES", 4)
    assert main(words) == 2
    assert "was not written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert built == [({(64, 96, 3)}, False)]
    assert main([*words, "--force"]) == 0
    assert "did NOT pass" in capsys.readouterr().out
    assert read_model_file(out).parity["passed"] is False
    assert read_model_file(out).parity["source"] == "camvid11 val"
    assert read_model_file(out).score["split"] == "val"
    frame = np.zeros((48, 64, 3), np.uint8)
    assert load(out)(frame).class_map.shape == (48, 64)


def test_a_network_that_saw_val_has_no_score_there_and_is_not_calibrated_there(
    tiny_checkpoint, tiny_network, built, scenes_dir, tmp_path, capsys
):
    state, card = read_checkpoint(tiny_checkpoint)
    source = tmp_path / "final.safetensors"
    save_checkpoint(source, state, replace(card, recipe={"train_split": "train+val"}))
    out = tmp_path / "model.onnx"
    words = ["export", str(source), "--data", str(scenes_dir), "--out", str(out), "--confidence"]
    assert main(words) == 2
    assert "--temperature" in capsys.readouterr().err
    assert not out.exists()
    assert main([*words, "--temperature", "1.5"]) == 0
    written = read_model_file(out)
    assert written.card.temperature == 1.5
    assert written.parity["source"] == "camvid11 val"
    assert written.score == {}
    assert main([*words, "--temperature", "0"]) == 2


def test_what_cannot_be_exported_gets_a_sentence(small_checkpoint, exported, tmp_path, capsys):
    for words, said in (
        ([str(small_checkpoint), "--precision", "int8"], "give --data DIR"),
        ([str(exported["fp32"])], "exported already"),
        ([str(small_checkpoint), "--temperature", "1.5"], "--confidence"),
        ([str(small_checkpoint), "--out", str(tmp_path / "model.pt")], ".onnx"),
        ([str(tmp_path / "nothing.onnx"), "--card", str(tmp_path / "card.json")], "card.json"),
    ):
        assert main(["export", *words]) == 2
        assert said in capsys.readouterr().err
