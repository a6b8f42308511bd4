"""``aaff bench``: what its rows are made of and what it refuses; no time is asserted."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from aaff import published
from aaff.bench import peak, speed
from aaff.bench.contenders import Contender, Failure, plan
from aaff.bench.subjects import Exporter, Subject, find_subject, graph_macs
from aaff.bench.untrained import fit_logits
from aaff.card import ModelCard
from aaff.cli import main, parse_words
from aaff.cli.bench import drive, scenes
from aaff.errors import MissingExtraError, OptionError, UnknownNameError
from aaff.evaluation import ConfusionMatrix
from aaff.export import export, graph
from aaff.labels import CAMVID11
from aaff.networks import create_model
from aaff.networks.complexity import complexity
from aaff.networks.engine import TorchEngine
from aaff.networks.weights import read_checkpoint, save_checkpoint
from aaff.preprocess import Size
from aaff.runtime.model_file import read_model_file
from aaff.runtime.openvino_core import has_bf16
from experiments.paper.speed import speed_rows
from tests.tiny import tiny

SIZE = Size(64, 48)
OPTIONS = {"width": 0.25, "sides": 1, "spatial": False}


@pytest.fixture(scope="module")
def models(tiny_checkpoint, exported, tmp_path_factory):
    """The tiny network as checkpoint ``net.safetensors``, ``fp32.onnx`` and ``int8.onnx``, and itself.  Read only.

    The file in int8 only claims to be, so that its multiplications can be counted as those of the network.
    """
    folder = tmp_path_factory.mktemp("models")
    state, card = read_checkpoint(tiny_checkpoint)
    card = replace(card, size=SIZE)
    net = tiny(11).eval()
    net.load_state_dict(state)
    save_checkpoint(folder / "net.safetensors", state, card)
    data = exported["fp32"].read_bytes()
    for precision in ("fp32", "int8"):
        export.write(export.describe(data, card, folder / f"{precision}.onnx", precision=precision, stride=4), {})
    return folder, net


@pytest.fixture(autouse=True)
def little(monkeypatch, tiny_network):
    """Few turns and a small convolution: what is timed here does not matter."""
    monkeypatch.setattr(speed, "ROUNDS", 2)
    monkeypatch.setattr(peak, "SIDE", 4)


def test_exported_files_side_by_side(models, tmp_path, capsys):
    folder, net = models
    figures = tmp_path / "bench.json"
    words = ["bench", str(folder / "fp32.onnx"), str(folder / "int8.onnx"), "--engine", "openvino", "onnxruntime"]
    assert main([*words, "--runs", "4", "--threads", "1", "--json", str(figures)]) == 0
    result = json.loads(figures.read_text())
    rows = result["rows"]
    expected = [("openvino", "fp32"), ("openvino", "bf16"), ("onnxruntime", "fp32")]
    expected += [("openvino", "int8"), ("openvino", "int8-bf16"), ("onnxruntime", "int8")]
    if not has_bf16():
        expected = [pair for pair in expected if "bf16" not in pair[1]]
    assert [(row["engine"], row["precision"]) for row in rows] == expected
    assert rows[0]["ratio"] == 1
    for row in rows:
        whole, alone = row["frame_to_map"], row["network_alone"]
        assert (row["network"], row["size"], row["threads"]) == ("tiny", "64x48", 1)
        assert row["macs"] == complexity(net, SIZE).macs
        assert whole["calls"] == alone["calls"] == 4
        assert whole["p95_ms"] >= whole["median_ms"] > 0
        assert row["ratio"] == pytest.approx(rows[0]["frame_to_map"]["median_ms"] / whole["median_ms"], rel=0.02)
        assert row["overhead"] == pytest.approx(whole["median_ms"] / alone["median_ms"] - 1, rel=0.02, abs=0.05)
        assert row["share_of_peak"] is not None
        assert (row["throughput"] is None) == (row["engine"] == "onnxruntime")
        assert row["rest"] == ("bf16" if "bf16" in row["precision"] else "fp32")
    peaks = {(entry["engine"], entry["precision"]) for entry in result["peaks"]}
    assert {("openvino", "fp32"), ("openvino", "int8"), ("onnxruntime", "int8")} <= peaks
    assert result["provenance"]["versions"]["openvino"]
    of_the_paper = {"rows": [{**row, "network": "depthwise_aaff"} for row in rows]}
    told = [(row.engine, row.precision, row.median_ms) for row in speed_rows([of_the_paper])]
    wanted = [row for row in rows if row["precision"] != "int8-bf16"]
    assert told == [(row["engine"], row["precision"], row["frame_to_map"]["median_ms"]) for row in wanted]
    said = capsys.readouterr().out
    assert "end-to-end latency" in said
    assert "exported file" in said


def test_a_checkpoint_runs_in_torch_and_is_exported_for_the_others(models, tmp_path, monkeypatch):
    asked = []

    def ready(net, card, path, *, calibration, graph):
        """Exporting takes long and is tested where it is done."""
        asked.append((card.size, calibration and {frame.shape for frame in calibration}))
        return read_model_file(models[0] / ("int8.onnx" if calibration else "fp32.onnx"))

    monkeypatch.setattr(export, "build", ready)
    monkeypatch.setattr(graph, "build_graph", lambda *_: onnx.load(models[0] / "fp32.onnx"))
    figures = tmp_path / "bench.json"
    words = [
        "bench",
        str(models[0] / "net.safetensors"),
        "--engine",
        "torch",
        "openvino",
        "--precision",
        "fp32",
        "int8",
    ]
    assert main([*words, "--threads", "1", "--size", "64x48", "--runs", "2", "--json", str(figures)]) == 0
    assert asked == [(SIZE, None), (SIZE, {(32, 32, 3)})]
    rows = json.loads(figures.read_text())["rows"]
    expected = [("torch", "fp32"), ("openvino", "fp32"), ("openvino", "int8")]
    assert [(row["engine"], row["precision"]) for row in rows] == expected
    assert "trained weights" in rows[0]["origin"]
    assert "synthetic scenes" in rows[0]["origin"]


def test_a_name_is_measured_without_training_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(published, "weights_folder", lambda: tmp_path)
    subject = find_subject("depthwise_bisenet", SIZE, Exporter(scenes))
    assert subject.origin == "weights without training"
    assert subject.card.size == SIZE
    assert subject.macs == complexity(create_model("depthwise_bisenet", 11), SIZE).macs


def test_multiplications_are_read_off_the_exported_graph(models):
    folder, net = models
    assert graph_macs(read_model_file(folder / "fp32.onnx")) == complexity(net, SIZE).macs


def test_untrained_maps_look_like_streets():
    torch.manual_seed(0)
    net = create_model("depthwise_aaff", 11, **OPTIONS).eval()
    card = ModelCard("depthwise_aaff", OPTIONS, CAMVID11, "camvid11", Size(128, 96))
    samples = scenes(card.size, 4)
    fit_logits(net, card, samples[:3])
    matrix = ConfusionMatrix(11)
    matrix.update(samples[3].label, TorchEngine(net, card).segment(samples[3].image))
    assert np.trace(matrix.counts) / matrix.counts.sum() > 0.5
    assert np.count_nonzero(matrix.counts.sum(axis=0)) >= 3


def _result(size, gops, *models):
    peaks = [{"engine": "torch", "precision": "fp32", "gops": gops}]
    rows = [{"model": model, "engine": "torch", "precision": "fp32", "size": size, "gops": gops} for model in models]
    return {"rows": rows, "runs": int(gops), "peaks": peaks}


def test_sizes_are_joined_with_the_highest_of_each_peak():
    result = speed.joined([_result("64x48", 3.0, "a"), _result("128x96", 5.0, "a")])
    assert [row["size"] for row in result["rows"]] == ["64x48", "128x96"]
    assert [peak["gops"] for peak in result["peaks"]] == [5.0]
    assert result["runs"] == 5


def test_a_model_that_several_runs_have_stays_once():
    result = speed.joined([_result("64x48", 3.0, "a", "b"), _result("64x48", 5.0, "a", "c")])
    assert [(row["model"], row["gops"]) for row in result["rows"]] == [("a", 3.0), ("b", 3.0), ("c", 5.0)]


def test_few_models_at_a_time_are_each_measured_beside_the_first(models, monkeypatch, capsys):
    turns = []
    measure = speed.measure_models

    def watched(rows, *args, **options):
        turns.append([Path(row.subject.word).name for row in rows])
        return measure(rows, *args, **options)

    monkeypatch.setattr(speed, "measure_models", watched)
    words = [str(models[0] / name) for name in ("fp32.onnx", "int8.onnx", "net.safetensors")]
    engine = ["--engine", "openvino", "--runs", "1", "--threads", "1", "--no-throughput"]
    assert main(["bench", *words, *engine, "--together", "2"]) == 0
    each = [list(dict.fromkeys(rows)) for rows in turns]  # a model has a row for each precision of the machine
    assert each == [["fp32.onnx", "int8.onnx"], ["fp32.onnx", "net.safetensors"]]
    assert main(["bench", *words, *engine, "--together", "1"]) == 2
    assert "--together" in capsys.readouterr().err


def test_without_the_first_model_parts_have_nothing_to_be_compared_with(models, monkeypatch, capsys):
    def broken(subject, planned, *_args, **_options):
        return iter([Failure(subject, *planned[0][::2], "cannot be run")])

    monkeypatch.setattr("aaff.bench.contenders.contenders", broken)
    words = [str(models[0] / name) for name in ("fp32.onnx", "int8.onnx", "net.safetensors")]
    assert main(["bench", *words, "--engine", "openvino", "--together", "2"]) == 2
    assert "the first model, cannot be run" in capsys.readouterr().err


def test_rows_take_turns():
    calls = []
    card = ModelCard("depthwise_aaff", {}, CAMVID11, "camvid11", SIZE)
    subject = Subject("x", card, None, {}, "made", 1)
    rows = [
        Contender(subject, "torch", "fp32", lambda frame, name=name: calls.append(name), None, None) for name in "ab"
    ]
    result = speed.measure_models(rows, drive, runs=6)
    order = "".join(calls)
    assert order == ("a" * 5 + "b" * 5) * 2, "two calls to warm up and three that count, twice"
    assert [row["frame_to_map"]["calls"] for row in result["rows"]] == [6, 6]
    assert result["rows"][0]["network_alone"] is result["rows"][0]["overhead"] is None


def test_without_onnx_the_peak_is_left_out_and_said(models, monkeypatch, capsys):
    def absent(*_words):
        raise MissingExtraError("onnx is not installed; install it with: pip install 'aaff[train]'")

    monkeypatch.setattr(peak, "convolution", absent)
    words = ["bench", str(models[0] / "fp32.onnx"), "--engine", "openvino", "--precision", "fp32"]
    assert main([*words, "--runs", "1", "--threads", "1"]) == 0
    assert "onnx is not installed" in capsys.readouterr().out


def test_its_options_are_read():
    module, args = parse_words(["bench", "a.onnx", "b", "--size", "800x640", "--precision", "int8", "fp32"])
    assert module.__name__ == "aaff.cli.bench"
    assert args.models == ("a.onnx", "b")
    assert args.size == (Size(800, 640),)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "needs a model"),
        (["depthwise_aff"], "'depthwise_aaff'"),
        (["absent.onnx"], "absent.onnx"),
        (["{}/fp32.onnx", "--engine", "torch"], "fp32.onnx"),
        (["{}/fp32.onnx", "--precision", "int8"], "fp32.onnx"),
        (["{}/net.safetensors", "--engine", "torch", "--precision", "int8"], "fp32, bf16"),
        (["{}/fp32.onnx", "--runs", "0"], "--runs 0"),
        (["{}/fp32.onnx", "--threads", "0"], "--threads 0"),
        (["{}/fp32.onnx", "--engine", "openvin"], "'openvino'"),
    ],
)
def test_what_cannot_be_measured(models, capsys, words, sentence):
    assert main(["bench", *(word.format(models[0]) for word in words)]) == 2
    assert sentence in capsys.readouterr().err


def test_plans():
    assert plan(["onnxruntime"]) == [("onnxruntime", "fp32", "fp32"), ("onnxruntime", "int8", "int8")]
    with pytest.raises(OptionError, match="onnxruntime runs in fp32, int8"):
        plan(["onnxruntime"], ["bf16"])
    with pytest.raises(UnknownNameError):
        find_subject("nothing_like_it_at_all", None, Exporter(scenes))
