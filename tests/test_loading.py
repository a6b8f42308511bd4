"""From a path to a segmenter, and a clear sentence for whatever is no model."""

import importlib.util
import pickle
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from aaff import published
from aaff.card import ModelCard
from aaff.errors import AaffError, ModelError, OptionError, UnknownNameError
from aaff.labels import CAMVID11
from aaff.loading import find_model, frame_to_map, load, load_engine, read_card
from aaff.networks import create_model
from aaff.networks.weights import save_checkpoint
from aaff.preprocess import Size, network_size
from aaff.runtime import Segmenter

FRAME = np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8)


def test_a_checkpoint_and_its_run_folder_give_the_same_segmenter(checkpoint):
    by_file, by_folder = load(checkpoint), load(str(checkpoint.parent))
    assert isinstance(by_file, Segmenter)
    assert repr(by_file) == "Segmenter(depthwise_aaff, camvid11, 160x120, torch fp32)"
    prediction = by_file(FRAME)
    assert prediction.class_map.shape == (90, 130)
    assert prediction.confidence.shape == (90, 130)
    np.testing.assert_array_equal(prediction.class_map, by_folder(FRAME).class_map)


def test_a_run_gives_its_best_checkpoint_else_its_last(checkpoint, tmp_path):
    shutil.copy(checkpoint, tmp_path / "last.safetensors")
    assert find_model(tmp_path).name == "last.safetensors"
    shutil.copy(checkpoint, tmp_path / "best.safetensors")
    assert find_model(tmp_path).name == "best.safetensors"


def test_precision_threads_and_size_are_options(checkpoint):
    before = torch.get_num_threads()
    try:
        assert load(checkpoint, engine="torch", precision="bf16", threads=1).engine.precision == "bf16"
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert load_engine(checkpoint, size=Size(96, 64)).card.size == (96, 64)


def test_a_checkpoint_is_scored_by_its_logits(checkpoint):
    engine = load_engine(checkpoint, confidence=False)
    predict, resize = frame_to_map(Segmenter(engine))
    assert resize == "logits"
    np.testing.assert_array_equal(predict(FRAME), engine.segment(FRAME))
    wide = np.hstack([FRAME, FRAME[:, ::2]])  # keeps its aspect, as in predictions
    predict, _ = frame_to_map(load(checkpoint))
    at = network_size(Size.of(wide), engine.card.size)
    assert at != engine.card.size
    np.testing.assert_array_equal(predict(wide), load_engine(checkpoint, size=at).segment(wide))


def test_any_other_engine_is_scored_by_its_map(checkpoint):
    class Deployed:
        name = "openvino"
        precision = "int8"

        def __init__(self, engine):
            self.engine, self.card = engine, engine.card

        def infer(self, frames):
            return self.engine.infer(frames)

    engine = Deployed(load_engine(checkpoint))
    predict, resize = frame_to_map(Segmenter(engine))
    assert resize == "map"
    np.testing.assert_array_equal(predict(FRAME), Segmenter(engine)(FRAME).class_map)


def half(path, tmp_path):
    data = path.read_bytes()
    (tmp_path / "half.safetensors").write_bytes(data[: len(data) // 2])
    return tmp_path / "half.safetensors"


def text(path, tmp_path):
    (tmp_path / "text.safetensors").write_text("these are no weights")
    return tmp_path / "text.safetensors"


def empty(path, tmp_path):
    (tmp_path / "empty.safetensors").touch()
    return tmp_path / "empty.safetensors"


def torch_file(path, tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def renamed_pickle(path, tmp_path):
    (tmp_path / "best.safetensors").write_bytes(pickle.dumps({"weight": 1}))
    return tmp_path


def foreign(path, tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    return tmp_path / "foreign.safetensors"


def other_suffix(path, tmp_path):
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    return tmp_path / "picture.png"


def empty_folder(path, tmp_path):
    return tmp_path


def folder_of_others(path, tmp_path):
    shutil.copy(path, tmp_path / "epoch-3.safetensors")
    return tmp_path


def missing(path, tmp_path):
    return tmp_path / "nothing.safetensors"


def other_weights(path, tmp_path):
    card = ModelCard("depthwise_aaff", {}, CAMVID11, "camvid11", Size(160, 120))
    save_checkpoint(tmp_path / "swapped.safetensors", create_model("bisenet", 11).state_dict(), card)
    return tmp_path / "swapped.safetensors"


def other_classes(path, tmp_path):
    card = ModelCard("bisenet", {}, CAMVID11, "camvid11", Size(160, 120))
    save_checkpoint(tmp_path / "classes.safetensors", create_model("bisenet", 5).state_dict(), card)
    return tmp_path / "classes.safetensors"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (half, "not a complete"),
        (text, "not a complete"),
        (empty, "not a complete"),
        (torch_file, "is a pickle"),
        (renamed_pickle, "is a pickle"),
        (foreign, "not written by aaff"),
        (other_suffix, r"ends in \.png"),
        (empty_folder, "neither best.safetensors nor last.safetensors"),
        (folder_of_others, r"it has epoch-3\.safetensors: name one of them"),
        (missing, "there is no model"),
        (other_weights, "another network"),
        (other_classes, "number of classes"),
    ],
)
def test_what_is_no_model_gets_a_sentence_that_names_it(checkpoint, tmp_path, make, words):
    path = make(checkpoint, tmp_path)
    with pytest.raises(ModelError, match=words) as error:
        load(path)
    assert str(path.name) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def without_torch(monkeypatch):
    """As where only the core is installed, as far as finding a model goes."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else real(name, *rest))


class TestRunWithAnExportedModel:
    @pytest.fixture
    def run(self, checkpoint, exported, tmp_path):
        shutil.copy(checkpoint, tmp_path / "best.safetensors")
        for kind in ("fp32", "int8"):
            shutil.copy(exported[kind], tmp_path / f"best-{kind}.onnx")
        return tmp_path

    def test_with_torch_it_is_its_checkpoint(self, run):
        assert find_model(run) == run / "best.safetensors"

    def test_a_precision_that_torch_lacks_is_the_exported_file(self, run):
        assert find_model(run, precision="int8") == run / "best-int8.onnx"

    def test_without_torch_it_is_the_exported_file(self, run, without_torch):
        assert find_model(run) == run / "best-int8.onnx"
        assert find_model(run, precision="bf16") == run / "best-fp32.onnx"
        assert load(run)(FRAME).class_map.shape == FRAME.shape[:2]

    def test_an_engine_that_is_asked_for_gets_what_it_runs(self, run):
        assert find_model(run, engine="openvino") == run / "best-int8.onnx"
        assert find_model(run, engine="torch") == run / "best.safetensors"

    def test_a_folder_with_nothing_else_is_enough(self, exported, tmp_path):
        shutil.copy(exported["fp32"], tmp_path / "street.onnx")
        assert find_model(tmp_path) == tmp_path / "street.onnx"


def test_a_mistyped_path_gets_the_nearest_one(tmp_path):
    (tmp_path / "first-run").mkdir()
    with pytest.raises(ModelError, match=r"did you mean .*first-run"):
        load(tmp_path / "frist-run")


def test_a_number_is_a_camera_not_a_model():
    with pytest.raises(ModelError, match=r"stream\(3\)"):
        load(3)


def test_the_card_is_read_without_loading_the_model(checkpoint, exported, tmp_path):
    assert read_card(checkpoint).size == Size(160, 120)
    assert read_card(exported["int8"]).size == Size(96, 64)
    (tmp_path / "cut.safetensors").write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"cut\.safetensors"):
        read_card(tmp_path / "cut.safetensors")


def test_without_a_path_and_without_a_bundled_model_it_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr(published, "BUNDLED", tmp_path)
    with pytest.raises(ModelError, match="aaff train --data DIR"):
        load()


def test_options_that_make_no_sense(checkpoint):
    with pytest.raises(UnknownNameError, match="did you mean 'torch'"):
        load(checkpoint, engine="trch")
    with pytest.raises(OptionError, match="fp32 or bf16, not in int4"):
        load(checkpoint, precision="int4")
    with pytest.raises(OptionError, match="threads is 0"):
        load(checkpoint, threads=0)
    assert issubclass(OptionError, AaffError)


def test_a_changed_checkpoint_is_refused(small_checkpoint, tmp_path):
    data = bytearray(small_checkpoint.read_bytes())
    data[-10] ^= 0x01
    path = tmp_path / "changed.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"changed\.safetensors"):
        load(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(small_checkpoint, tmp_path, value):
    import torch

    from aaff.networks.weights import read_checkpoint, save_checkpoint

    state, card = read_checkpoint(small_checkpoint)
    name = next(name for name, tensor in state.items() if tensor.ndim == 4)
    state[name] = torch.full_like(state[name], value)
    save_checkpoint(tmp_path / "a.safetensors", state, card)
    with pytest.raises(ModelError, match=re.escape(name)):
        load(tmp_path / "a.safetensors")


def test_a_checkpoint_without_a_hash_still_loads(small_checkpoint, tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(small_checkpoint, framework="pt") as file:
        metadata = {"aaff": file.metadata()["aaff"]}
        save_file({name: file.get_tensor(name) for name in file.keys()}, tmp_path / "a.safetensors", metadata)  # noqa: SIM118
    assert load(tmp_path / "a.safetensors").card.network == "depthwise_aaff"
