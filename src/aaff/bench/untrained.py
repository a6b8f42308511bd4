"""Untrained networks whose class maps look like streets, so that they are as fast as trained ones.

The time of a network does not depend on its weights, but that of the upsampling does: only cells on class borders are
interpolated (``aaff.runtime.upsample``), and with random logits their number is a third to three times that of a street
scene.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aaff.bench.subjects import Scenes
from aaff.card import ModelCard
from aaff.data.sample import Sample
from aaff.labels import CAMVID11, IGNORE
from aaff.networks import SegmentationNetwork, create_model
from aaff.networks.engine import TorchEngine
from aaff.preprocess import Size

_SCENES = 6
_RIDGE = 1e-6


def make_untrained(name: str, size: Size, scenes: Scenes) -> tuple[SegmentationNetwork, ModelCard]:
    """A registered network for ``camvid11`` with random weights and a fitted logits layer, in evaluation mode.

    Args:
        name: name of the registered network.
        size: size of its frames.
        scenes: returns labelled frames for fitting the logits layer.

    Raises:
        UnknownNameError: the network is not registered.
    """
    torch.manual_seed(0)
    net = create_model(name, CAMVID11.num_classes).eval()
    card = ModelCard(name, {}, CAMVID11, "camvid11", size, licence="none: not trained, for measurements of speed")
    fit_logits(net, card, scenes(size, _SCENES))
    return net, card


def fit_logits(net: SegmentationNetwork, card: ModelCard, scenes: Sequence[Sample]) -> None:
    """Set the logits layer to a ridge regression from its inputs to the ground truth of the scenes.

    Of a kernel larger than 1×1, only the centre is set; if a pixel shuffle follows, all outputs of a class are equal.
    """
    engine = TorchEngine(net, card, confidence=False)
    layer = net.classifier
    inputs: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _layer, given, _output: inputs.append(given[0]))
    try:
        with torch.inference_mode():
            weights = _regression(_samples(engine, scenes, inputs), card.labels.num_classes)
    finally:
        handle.remove()
    weights = weights.repeat_interleave(layer.out_channels // card.labels.num_classes, dim=1)
    rows, columns = layer.kernel_size
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, :, rows // 2, columns // 2] = weights[:-1].T
        if layer.bias is not None:
            layer.bias.copy_(weights[-1])


def _samples(engine: TorchEngine, scenes: Sequence[Sample], inputs: list[Tensor]) -> Iterable[tuple[Tensor, Tensor]]:
    """For each scene: the inputs float64 [pixels, channels + 1] and the class of each pixel."""
    for scene in scenes:
        engine.native_logits(scene.image[None])
        features = inputs.pop()[0]
        rows, columns = features.shape[-2:]
        seen = features.flatten(1).T.double()
        step = np.ix_(_centres(scene.label.shape[0], rows), _centres(scene.label.shape[1], columns))
        label = torch.from_numpy(scene.label[step].reshape(-1).astype(np.int64))
        known = label != IGNORE
        yield F.pad(seen, (0, 1), value=1.0)[known], label[known]


def _centres(pixels: int, cells: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.minimum((np.arange(cells) * 2 + 1) * pixels // (2 * cells), pixels - 1)


def _regression(samples: Iterable[tuple[Tensor, Tensor]], classes: int) -> Tensor:
    products = targets = torch.zeros((), dtype=torch.float64)
    for seen, label in samples:
        products = products + seen.T @ seen
        targets = targets + seen.T @ F.one_hot(label, classes).double()
    ridge = _RIDGE * torch.eye(len(products), dtype=torch.float64) * products.trace() / len(products)
    weights: Tensor = torch.linalg.solve(products + ridge, targets)
    return weights.float()
