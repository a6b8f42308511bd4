"""The two engines of exported files: the same maps as torch, in any number of threads, at any size of frame."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from torch.nn import functional as F

from aaff import loading
from aaff.errors import DataError, MissingExtraError, ModelError, OptionError
from aaff.loading import frame_to_map, load, load_engine
from aaff.networks.engine import classify
from aaff.preprocess import Size
from aaff.runtime import Segmenter, compiled_cache
from aaff.runtime.model_file import read_model_file
from aaff.runtime.openvino_core import core, has_bf16
from aaff.runtime.openvino_engine import OpenVinoEngine, network_alone
from aaff.runtime.upsample import STRIDES, Upsampler
from aaff.synthetic import render

ENGINES = ("openvino", "onnxruntime")


@pytest.fixture(scope="module")
def frames():
    return np.stack([render(drive=2, frame=20 * i, size=Size(96, 64)).image for i in range(4)])


@pytest.fixture
def reference(tiny_checkpoint, tiny_network):
    return load_engine(tiny_checkpoint, confidence=True)


def agreement(a, b):
    return float((a == b).mean())


@pytest.mark.parametrize("engine", ENGINES)
def test_fp32_gives_the_maps_of_the_checkpoint(exported, reference, frames, engine):
    expected, _ = reference.infer(frames)
    maps, confidence = load_engine(exported["fp32"], engine=engine).infer(frames)
    assert maps.dtype == np.uint8
    assert confidence is None
    assert len(np.unique(expected)) > 2  # else it would show nothing
    assert agreement(maps, expected) >= 0.999


def test_int8_gives_the_same_in_both_engines_and_nearly_the_maps_of_the_checkpoint(exported, reference, frames):
    expected, _ = reference.infer(frames)
    first, second = (load_engine(exported["int8"], engine=engine).infer(frames)[0] for engine in ENGINES)
    assert agreement(first, second) >= 0.97
    assert agreement(first, expected) >= 0.8  # untrained weights: many pixels are near ties


@pytest.mark.parametrize("kind", ["fp32", "int8"])
def test_other_runtimes_get_the_same_maps_from_the_whole_graph(exported, frames, kind):
    # What the engines leave out of the file and do themselves is in it for everybody else.
    expected, _ = load_engine(exported[kind], engine="onnxruntime").infer(frames)
    session = onnxruntime.InferenceSession(exported[kind].read_bytes(), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["frames"]
    assert [o.name for o in session.get_outputs()] == ["class_map"]
    (batch,) = session.run(None, {"frames": frames})  # all four at once: the axis of the batch is open
    assert batch.dtype == np.uint8
    assert agreement(batch, expected) >= 0.999
    compiled = core().compile_model(core().read_model(exported[kind]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert agreement(compiled(frames)[0], load_engine(exported[kind]).infer(frames)[0]) >= 0.999


@pytest.mark.parametrize("engine", ENGINES)
def test_confidence_is_the_softmax_of_the_chosen_class(exported, reference, frames, engine):
    _, expected = reference.infer(frames)
    maps, confidence = load_engine(exported["confidence"], engine=engine).infer(frames)
    assert maps.shape == confidence.shape == (4, 64, 96)
    assert np.abs(confidence.astype(int) - expected).max() <= 1
    assert load_engine(exported["confidence"], engine=engine, confidence=False).infer(frames)[1] is None


@pytest.mark.parametrize("engine", ENGINES)
def test_several_threads_share_an_engine(exported, frames, engine):
    shared = load_engine(exported["fp32"], engine=engine, threads=2)
    alone = [shared.infer(frame[None])[0] for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda i: shared.infer(frames[i % 4][None])[0], range(32)))
    for i, maps in enumerate(together):
        np.testing.assert_array_equal(maps, alone[i % 4])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_map_belongs_to_the_caller(exported, frames, engine):
    runs = load_engine(exported["confidence"], engine=engine)
    first = runs.infer(frames[:1])
    kept = [array.copy() for array in first]
    runs.infer(255 - frames[:1])
    for array, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_segmenter_takes_frames_of_any_size_and_batches(exported):
    seg = load(exported["int8"])
    assert repr(seg) == "Segmenter(tiny, camvid11, 96x64, openvino int8)"
    pictures = [render(drive=2, frame=0, size=size).image for size in (Size(130, 90), Size(96, 64), Size(51, 33))]
    for picture, prediction in zip(pictures, seg.batch(pictures), strict=True):
        assert prediction.class_map.shape == picture.shape[:2]
        np.testing.assert_array_equal(prediction.class_map, seg(picture).class_map)
    assert frame_to_map(seg)[1] == "map"
    flipped = pictures[1][:, ::-1]
    flipped.flags.writeable = False
    assert seg(flipped).class_map.shape == (64, 96)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_file_runs_at_any_size_as_its_network_does(exported, reference, engine):
    size = Size(136, 72)
    picture = render(drive=2, frame=0, size=size).image[None]
    expected, _ = reference.infer(picture)
    got, confidence = load_engine(exported["confidence"], engine=engine, size=size).infer(picture)
    assert agreement(got, expected) >= 0.999
    assert confidence.shape == (1, 72, 136)


def test_a_bundled_model_of_one_size_is_called_by_its_name():
    with pytest.raises(OptionError, match="the bundled model depthwise_aaff takes frames of 480x360 only"):
        load("depthwise_aaff", size=(320, 240))


def test_wide_frames_keep_their_aspect_unless_a_size_is_given(exported):
    wide = render(drive=2, frame=0, size=Size(200, 80)).image
    seen = []

    class Watched(Segmenter):
        def _run(self, engine, pictures, frames):
            seen.append((engine.card.size, len(frames)))
            return super()._run(engine, pictures, frames)

    own = load(exported["fp32"])
    seg = Watched(own.engine, engine_at=own._engine_at)
    assert [p.class_map.shape for p in seg.batch([wide, wide, wide[:, :96]])] == [(80, 200)] * 2 + [(80, 96)]
    assert seen == [(Size(128, 64), 2), (Size(96, 64), 1)]
    assert load(exported["fp32"], size=(64, 48)).card.size == (64, 48)
    assert load(exported["fp32"], size=(64, 48))(wide).class_map.shape == (80, 200)


@pytest.mark.parametrize("engine", ENGINES)
def test_frames_of_another_size_are_refused_before_the_graph_sees_them(exported, engine):
    with pytest.raises(DataError, match=r"takes frames uint8 \[N, 64, 96, 3\]"):
        load_engine(exported["fp32"], engine=engine).infer(np.zeros((1, 60, 96, 3), np.uint8))


def test_precisions_are_explicit(exported, frames):
    model = read_model_file(exported["fp32"])
    assert OpenVinoEngine(model)._alone.compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    int8 = read_model_file(exported["int8"])
    assert OpenVinoEngine(int8)._alone.compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    for path, asked, engine in (
        ("fp32", "int8", "openvino"),
        ("int8", "fp32", "openvino"),
        ("fp32", "bf16", "onnxruntime"),
    ):
        with pytest.raises(OptionError, match="and runs in"):
            load_engine(exported[path], engine=engine, precision=asked)


def test_bf16_runs_where_the_processor_has_it_and_is_refused_elsewhere(exported, frames):
    if has_bf16():
        expected, _ = load_engine(exported["fp32"]).infer(frames)
        assert agreement(load_engine(exported["fp32"], precision="bf16").infer(frames)[0], expected) > 0.9
        assert load_engine(exported["int8"], precision="int8-bf16").precision == "int8-bf16"
    else:
        with pytest.raises(OptionError, match="no bf16"):
            load_engine(exported["fp32"], precision="bf16")


def test_a_process_that_let_models_go_still_takes_signals(exported):
    # With a core for each model, the first signal after the first model was let go before the second was fatal.
    words = f"""
import gc, os, signal
from aaff.loading import load
signal.signal(signal.SIGUSR1, lambda number, frame: print("handled"))
first = load({str(exported["fp32"])!r})
second = load({str(exported["int8"])!r})
del first
gc.collect()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
"""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", words], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def test_streams_compute_frames_side_by_side(exported, frames):
    model = read_model_file(exported["fp32"])
    engine = OpenVinoEngine(model, threads=2, streams=2)
    with ThreadPoolExecutor(2) as pool:
        maps = list(pool.map(lambda frame: engine.infer(frame[None])[0][0], frames))
    np.testing.assert_array_equal(np.stack(maps), OpenVinoEngine(model, threads=1).infer(frames)[0])


def test_a_batch_is_computed_side_by_side_to_the_maps_of_its_frames(exported, frames):
    engine = OpenVinoEngine(read_model_file(exported["int8"]), threads=2)
    maps, _ = engine.infer(frames)
    assert engine._several not in (None, engine._alone)
    np.testing.assert_array_equal(maps, np.concatenate([engine.infer(frame[None])[0] for frame in frames]))


def test_the_network_alone_gives_the_logits_of_torch(exported, reference, frames):
    norm = reference.card.normalization
    planar = ((frames[:1] - np.float32(norm.mean)) / np.float32(norm.std)).transpose(0, 3, 1, 2)
    logits = network_alone(read_model_file(exported["fp32"]))(planar)
    with torch.inference_mode():
        np.testing.assert_allclose(logits, reference.native_logits(frames[:1]).numpy(), atol=1e-4)


def test_a_second_start_takes_the_compiled_model_and_a_damaged_one_is_made_again(
    exported, frames, monkeypatch, tmp_path
):
    monkeypatch.setenv("AAFF_CACHE", str(tmp_path))
    expected, _ = load_engine(exported["fp32"], threads=1).infer(frames)
    (kept,) = tmp_path.glob("*.compiled")
    compiled = kept.read_bytes()
    written = kept.stat().st_ino
    np.testing.assert_array_equal(load_engine(exported["fp32"], threads=1).infer(frames)[0], expected)
    assert kept.stat().st_ino == written  # taken, not made again
    kept.write_bytes(compiled[: len(compiled) // 2])
    np.testing.assert_array_equal(load_engine(exported["fp32"], threads=1).infer(frames)[0], expected)
    assert compiled_cache.load_compiled(kept.stem) is not None
    load_engine(exported["fp32"], threads=2)  # compiled for something else
    assert len(list(tmp_path.glob("*.compiled"))) == 2


def test_a_cache_that_cannot_be_written_stops_nothing(exported, frames, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AAFF_CACHE", str(tmp_path / "file" / "below"))
    assert load_engine(exported["fp32"]).infer(frames)[0].shape == (4, 64, 96)


@pytest.mark.skipif(os.name != "posix", reason="POSIX owners, modes and pipes")
def test_only_a_private_file_that_belongs_to_its_key_is_taken_from_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("AAFF_CACHE", str(tmp_path))
    one, other = (tmp_path / f"{key}.compiled" for key in ("one", "other"))
    compiled_cache.store_compiled("one", b"blob")
    assert compiled_cache.load_compiled("one") == b"blob"
    assert one.stat().st_mode & 0o077 == 0
    other.write_bytes(one.read_bytes())
    other.chmod(0o600)
    assert compiled_cache.load_compiled("other") is None
    one.chmod(0o620)
    assert compiled_cache.load_compiled("one") is None
    one.chmod(0o600)
    other.unlink()
    os.rename(one, tmp_path / "elsewhere")
    one.symlink_to(tmp_path / "elsewhere")
    os.mkfifo(other)
    for key, place in [("one", one), ("other", other)]:  # replaced, neither followed nor waited for
        assert compiled_cache.load_compiled(key) is None
        compiled_cache.store_compiled(key, b"new")
        assert not place.is_symlink()
        assert place.is_file()
        assert compiled_cache.load_compiled(key) == b"new"
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: one.stat().st_uid + 1)
        assert compiled_cache.load_compiled("one") is None


def test_the_cache_keeps_what_was_used_last(monkeypatch, tmp_path):
    monkeypatch.setenv("AAFF_CACHE", str(tmp_path))
    monkeypatch.setattr(compiled_cache, "KEPT", 2)
    for key in "abc":
        compiled_cache.store_compiled(key * 40, key.encode())
    assert len(list(tmp_path.glob("*.compiled"))) == 2
    assert compiled_cache.load_compiled("c" * 40) == b"c"


@pytest.mark.parametrize(
    ("module", "engine", "line"),
    [
        ("openvino", "auto", "pip install openvino"),
        ("onnxruntime", "onnxruntime", r"pip install .*onnxruntime"),
    ],
)
def test_an_absent_engine_names_its_line(exported, monkeypatch, module, engine, line):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"aaff.runtime.{module}_engine", raising=False)
    with pytest.raises(MissingExtraError, match=line):
        load(exported["fp32"], engine=engine)


def test_engines_and_files_that_do_not_fit(exported, small_checkpoint):
    with pytest.raises(OptionError, match="torch runs checkpoints"):
        load(exported["fp32"], engine="torch")
    with pytest.raises(OptionError, match="aaff export"):
        load(small_checkpoint, engine="openvino")
    assert loading.ENGINES == ("openvino", "onnxruntime", "torch")


def test_a_graph_that_an_engine_cannot_run_is_named(exported):
    broken = replace(read_model_file(exported["fp32"]), stride=None, data=b"\x08\x09\x3a\x00")
    with pytest.raises(ModelError, match=r"OpenVINO cannot run .*fp32\.onnx"):
        OpenVinoEngine(broken)


def test_images_videos_and_scores_need_no_torch(exported, scenes_dir, tmp_path):
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "onnx", "nncf", "safetensors", "onnxruntime", "matplotlib"):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from aaff.cli import main
model = {str(exported["int8"])!r}
data, out = {str(scenes_dir)!r}, {str(tmp_path)!r}
assert main(["predict", data + "/val", "--frames", "2", "--model", model, "--out", out + "/maps"]) == 0
assert main(["evaluate", model, "--data", data, "--json", out + "/score.json"]) == 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "maps").glob("*_overlay.png"))) == 2
    assert '"resize": "map"' in (tmp_path / "score.json").read_text()
    assert '"precision": "int8"' in (tmp_path / "score.json").read_text()


@pytest.mark.parametrize("packing", [1, 2])
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("size", [Size(8, 8), Size(48, 32), Size(104, 64)])
@pytest.mark.parametrize("smooth", [False, True])
def test_the_map_of_border_cells_is_that_of_the_full_computation(size, smooth, stride, packing):
    generator = torch.Generator().manual_seed(size.width)
    shape = (5, size.height // stride, size.width // stride)
    logits = torch.randn(shape, generator=generator)
    if smooth:  # regions, as a network has them, rather than noise
        logits = F.avg_pool2d(logits[None], 5, 1, 2, count_include_pad=False)[0]
    expected = classify(logits[None], size)[0].numpy()
    odd = [side % packing for side in reversed(shape[1:])]
    packed = F.pixel_unshuffle(F.pad(logits, (0, odd[0], 0, odd[1])), packing)
    got = Upsampler(size, stride, packing)(packed.numpy())
    if (different := got != expected).any():  # only ties to rounding
        full = F.interpolate(logits[None], size=(size.height, size.width), mode="bilinear")[0]
        top = full.topk(2, dim=0).values.numpy()
        assert (top[0] - top[1])[different].max() < 1e-5


def test_an_upsampler_refuses_sizes_without_whole_cells():
    with pytest.raises(ModelError, match="51x33"):
        Upsampler(Size(51, 33), 4)
