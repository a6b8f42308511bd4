"""The one file of a deployed model: it describes itself, and what is damaged or no model gets a sentence."""

from __future__ import annotations

import json
import pickle
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from aaff.card import ModelCard
from aaff.cli import main
from aaff.errors import ModelError
from aaff.labels import CAMVID11, LabelMap
from aaff.loading import load
from aaff.preprocess import Size
from aaff.runtime.model_file import PARITY, content_hash, read_metadata, read_model_file, write_metadata


def test_the_file_describes_itself_to_every_onnx_tool(exported):
    for kind in ("fp32", "int8"):
        model = onnx.load(exported[kind])
        onnx.checker.check_model(model)
        props = {entry.key: entry.value for entry in model.metadata_props}
        card = ModelCard.from_dict(json.loads(props["aaff.card"]))
        assert (card.labels, card.size, card.licence) == (CAMVID11, Size(96, 64), "for tests only")
        assert props["aaff.precision"] == kind
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        kinds = {node.op_type for node in model.graph.node}
        assert ("QuantizeLinear" in kinds) == (kind == "int8")
        assert {entry.domain for entry in model.opset_import} <= {"", "ai.onnx"}


def test_no_path_of_this_machine_gets_into_the_file(exported):
    for path in exported.values():
        assert b"site-packages" not in path.read_bytes()
        assert b".py" not in path.read_bytes()


def test_what_is_read_is_what_was_written(exported):
    model = read_model_file(exported["confidence"])
    assert (model.precision, model.stride, model.confidence) == ("fp32", 4, True)
    assert model.parity == {"source": "not compared"}
    assert model.sha256 == content_hash(model.data, "it")
    other = write_metadata(model.data, {PARITY: "{}"})
    assert read_metadata(other, "it")[PARITY] == "{}"
    assert onnx.load_model_from_string(other).graph == onnx.load_model_from_string(model.data).graph


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_is_cut_off(exported, tmp_path, share):
    data = exported["fp32"].read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match=r"cut\.onnx"):
        load(path)


@pytest.mark.parametrize("place", [0.01, 0.3, 0.7, 0.99])
def test_one_flipped_byte(exported, tmp_path, place):
    data = bytearray(exported["int8"].read_bytes())
    data[int(len(data) * place)] ^= 0x10
    path = tmp_path / "flipped.onnx"
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"flipped\.onnx"):
        load(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"these are no weights\n" * 50, "ONNX"), (pickle.dumps({"weight": [1.0] * 9}), "is a pickle")],
)
def test_something_else_by_that_name(tmp_path, content, words):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as error:
        load(path)
    assert "model.onnx" in str(error.value)


def foreign(path, kind=TensorProto.UINT8, output=TensorProto.UINT8, classes=3):
    """A graph of somebody else: the class of a pixel is its red value."""
    nodes = [
        helper.make_node("Gather", ["image", "zero"], ["red"], axis=3),
        helper.make_node("Cast", ["red"], ["map"], to=output),
    ]
    graph = helper.make_graph(
        nodes,
        "elsewhere",
        [helper.make_tensor_value_info("image", kind, ["N", 4, 6, 3])],
        [helper.make_tensor_value_info("map", output, ["N", 4, 6])],
        [helper.make_tensor("zero", TensorProto.INT64, [], [0])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    labels = LabelMap("mine", tuple("abc"[:classes]), tuple((i, i, 9) for i in range(classes)))
    card = ModelCard("theirs", {}, labels, "mine", Size(6, 4))
    (path.parent / "card.json").write_text(json.dumps(card.to_dict()))
    return path


def test_a_model_from_elsewhere_runs_once_it_has_a_card(tmp_path, capsys):
    path = foreign(tmp_path / "theirs.onnx", output=TensorProto.INT64)
    with pytest.raises(ModelError, match=r"aaff export .*--card CARD\.json"):
        load(path)
    assert main(["export", str(path), "--card", str(tmp_path / "card.json")]) == 0
    assert "theirs-aaff.onnx" in capsys.readouterr().out
    frame = np.random.default_rng(0).integers(0, 3, (4, 6, 3), np.uint8)
    for engine in ("openvino", "onnxruntime"):
        prediction = load(tmp_path / "theirs-aaff.onnx", engine=engine)(frame)
        np.testing.assert_array_equal(prediction.class_map, frame[..., 0])
        assert prediction.labels.names == ("a", "b", "c")


def test_options_that_cannot_change_a_model_from_elsewhere_are_refused(tmp_path, capsys):
    path = foreign(tmp_path / "theirs.onnx", output=TensorProto.INT64)
    card = ["export", str(path), "--card", str(tmp_path / "card.json")]
    assert main([*card, "--size", "8x8", "--confidence"]) == 2
    said = capsys.readouterr().err
    assert "--size, --confidence" in said
    assert not (tmp_path / "theirs-aaff.onnx").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": TensorProto.FLOAT}, r"must take one input uint8 \[N, 4, 6, 3\]"),
        ({"output": TensorProto.FLOAT}, "must output a class map of integers"),
    ],
)
def test_a_graph_that_takes_or_gives_something_else_is_not_described(tmp_path, capsys, change, words):
    path = foreign(tmp_path / "theirs.onnx", **change)
    assert main(["export", str(path), "--card", str(tmp_path / "card.json")]) == 2
    said = capsys.readouterr().err
    assert re.search(words, said)
    assert not (tmp_path / "theirs-aaff.onnx").exists()
