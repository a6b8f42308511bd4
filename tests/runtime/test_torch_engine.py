"""The torch engine gives exactly what its network says, by both resize conventions, from any thread."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from aaff.errors import ModelError, OptionError
from aaff.labels import CAMVID32
from aaff.networks.engine import TorchEngine, classify, enlarge_confidence, native_confidence
from aaff.networks.weights import load_checkpoint
from aaff.preprocess import Size, resize_image


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_checkpoint(checkpoint)


@pytest.fixture(scope="module")
def frames():
    noise = np.random.default_rng(0).integers(0, 256, (3, 12, 16, 3), np.uint8)
    return noise.repeat(10, axis=1).repeat(10, axis=2)


def reference_logits(net, card, frames):
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (card.normalization.mean, card.normalization.std))
    x = (torch.from_numpy(frames.transpose(0, 3, 1, 2).copy()).float() - mean) / std
    with torch.no_grad():
        return net.eval().logits(x)


def clear(logits):
    """Pixels whose first class leads by more than rounding; bool [N, H, W]."""
    first, second = logits.topk(2, dim=1).values.unbind(1)
    return (first - second > 1e-3).numpy()


def enlarged(logits, height, width):
    return F.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)


def test_maps_and_confidence_are_those_of_the_network(loaded, frames):
    logits = enlarged(reference_logits(*loaded, frames), 120, 160)
    maps, confidence = TorchEngine(*loaded).infer(frames)
    assert maps.dtype == confidence.dtype == np.uint8
    assert maps.shape == confidence.shape == (3, 120, 160)
    # Both sides compute the network on their own; pixels may differ only where two classes tie to rounding.
    sure = clear(logits)
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(maps[sure], logits.argmax(1).numpy()[sure])
    probability = reference_logits(*loaded, frames).softmax(1).amax(1, keepdim=True)
    expected = enlarged((255 * probability).round(), 120, 160)[:, 0].numpy()
    assert np.abs(confidence - expected).max() <= 1.01


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(1, 12))
def test_class_maps_equal_the_argmax_of_resized_logits(seed, height, width, classes):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 7, 9, generator=generator).round(decimals=1)  # ties happen
    for given_logits in (logits, logits.contiguous(memory_format=torch.channels_last)):
        size = Size(width, height)
        ids, confidence = (
            classify(given_logits, size),
            enlarge_confidence(native_confidence(given_logits, classes), size),
        )
        expected = enlarged(logits, height, width)
        np.testing.assert_array_equal(ids, expected.argmax(1))
        probability = logits.softmax(1).amax(1, keepdim=True)
        certain = enlarged((255 * probability).round(), height, width)[:, 0]
        assert (confidence - certain).abs().max() <= 1.01


def test_research_convention_resizes_logits_not_maps(loaded, frames):
    net, card = loaded
    frame = resize_image(frames[0], Size(240, 200))
    logits = reference_logits(net, card, resize_image(frame, card.size)[None])
    expected = enlarged(logits, 200, 240)
    sure = clear(expected)[0]
    class_map = TorchEngine(net, card).segment(frame)
    assert class_map.shape == (200, 240)
    np.testing.assert_array_equal(class_map[sure], expected.argmax(1)[0].numpy()[sure])


def test_both_conventions_agree_at_the_networks_own_size(loaded, frames):
    engine = TorchEngine(*loaded, confidence=False)
    maps, confidence = engine.infer(frames[:1])
    assert confidence is None
    np.testing.assert_array_equal(engine.segment(frames[0]), maps[0])


def test_threads_get_their_own_answers(loaded, frames):
    engine = TorchEngine(*loaded)
    alone = [engine.segment(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(engine.segment, list(frames) * 3))
    for place, class_map in enumerate(together):
        np.testing.assert_array_equal(class_map, alone[place % 3])


def test_bf16_is_another_precision_of_the_same_network(loaded, frames):
    exact, rough = TorchEngine(*loaded), TorchEngine(*loaded, precision="bf16")
    assert (exact.precision, rough.precision) == ("fp32", "bf16")
    assert (exact.infer(frames)[0] == rough.infer(frames)[0]).mean() > 0.8


def test_read_only_frames_and_views_are_fine(loaded, frames, recwarn):
    locked = frames[0].copy()
    locked.setflags(write=False)
    engine = TorchEngine(*loaded)
    np.testing.assert_array_equal(engine.segment(locked), engine.segment(frames[0]))
    engine.segment(frames[0][:, ::-1, ::-1])
    assert not recwarn.list


def test_a_network_that_was_training_answers_as_in_evaluation(loaded, frames):
    net, card = loaded
    expected = TorchEngine(net, card).segment(frames[0])
    np.testing.assert_array_equal(TorchEngine(net.train(), card).segment(frames[0]), expected)


def test_unknown_precision_and_card_of_another_network(loaded):
    net, card = loaded
    with pytest.raises(OptionError, match="aaff export CHECKPOINT --precision int8"):
        TorchEngine(net, card, precision="int8")
    with pytest.raises(ModelError, match="11 classes, but its card names 31"):
        TorchEngine(net, replace(card, labels=CAMVID32))


FORK = """
import os, sys
from pathlib import Path
import numpy as np, torch
from aaff.loading import load_engine
torch.set_num_threads(2)
engine, frames = load_engine(Path(sys.argv[1])), np.zeros((1, 120, 160, 3), np.uint8)
expected = engine.infer(frames)[0]
child = os.fork()
if child == 0:
    os._exit(0 if (engine.infer(frames)[0] == expected).mean() > 0.99 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_and_is_told_about_its_one_thread(checkpoint):
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(checkpoint)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "RuntimeWarning" in done.stderr
