"""The published experiment's fault, at a small scale: what a batch of one does to gates with batch norm.

The reference trains one image at a time.  A batch norm after global pooling then sees a single value per
channel: whatever it is, minus its own mean it is 0, and the norm puts out its shift alone.  So

* every gate that has batch norm is a constant, the same for every image;
* in DepthwiseAAFF2, whose gates end in ReLU, that constant is ReLU(0) = 0 with zero gradient: the context
  branches are dead from the first step and stay so, and only the spatial path works;
* the moving statistics are never updated, and the test graph uses them: the drop from validation to test.

The networks of this package refuse a training batch of one, and that check stays: here each batch norm of a
copy is replaced by one that does what the reference's does, and the copy is only ever in evaluation mode.
Everything runs on synthetic streets, in a minute or two, with fixed seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aaff.data.sample import Sample
from aaff.evaluation import ConfusionMatrix
from aaff.labels import CAMVID11, IGNORE
from aaff.networks import SegmentationNetwork, create_model
from aaff.preprocess import Normalization, Size
from aaff.provenance import provenance
from aaff.synthetic import render
from experiments.runner.measure import GateRecorder

SUBJECTS = ("depthwise_aaff", "depthwise_aaff2")
"""Sigmoid gates in the first, ReLU gates in the second."""


@dataclass(frozen=True)
class Scale:
    """How small the experiment is.

    Attributes:
        size: of the synthetic frames; a multiple of 32 keeps the deepest map larger than one pixel.
        train, test: how many frames, on streets of their own.
        steps: optimiser steps; a step of the sound variant sees a batch, one of the published a single frame.
        batch: frames of a sound step.
        lr: learning rate of AdamW.
    """

    size: Size = Size(96, 64)
    train: int = 32
    test: int = 12
    steps: int = 100
    batch: int = 8
    lr: float = 2e-3


class LoneBatchNorm(nn.BatchNorm2d):
    """Batch norm as the reference uses it: always the statistics of the batch at hand, also of a single value.

    PyTorch's own refuses a single value per channel.  Here (x − mean) is then 0 and the shift remains; it is
    written out, since fused kernels leave rounding errors that the small variance blows up.  The moving statistics
    stay what they were at the start (0 and 1); ``moving = True`` normalises by them instead, as the reference's
    test graph does.
    """

    moving = False

    def forward(self, x: Tensor) -> Tensor:
        if self.moving:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        if x.shape[0] * x.shape[2] * x.shape[3] == 1:
            centred = x - x.mean(dim=(0, 2, 3), keepdim=True)  # exactly 0, and so is its gradient
            return torch.addcmul(self.bias.view(1, -1, 1, 1), centred * self.eps**-0.5, self.weight.view(1, -1, 1, 1))
        return torch.batch_norm(x, self.weight, self.bias, None, None, True, 0.0, self.eps, False)


def as_published(net: SegmentationNetwork) -> SegmentationNetwork:
    """Replace every batch norm of ``net`` by a ``LoneBatchNorm`` with the same parameters; returns ``net``.

    The network is put into evaluation mode, in which the others of its layers do the same as in training.
    """
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                lone = LoneBatchNorm(child.num_features, child.eps)
                lone.load_state_dict(child.state_dict())
                setattr(parent, name, lone)
    return net.eval()


def use_moving_statistics(net: nn.Module, moving: bool) -> None:
    """Switch an ``as_published`` network between its training graph and its test graph."""
    for module in net.modules():
        if isinstance(module, LoneBatchNorm):
            module.moving = moving


def demonstrate(scale: Scale = Scale()) -> dict[str, Any]:
    """Train both networks both ways on synthetic streets and measure what networks.md says of the published one.

    Returns:
        JSON-ready: per network ``published`` and ``sound``, each with its gates and scores; ``published`` also with
        the parameters without a gradient at the first step and after the last, and the score by moving statistics.
    """
    train, test = frames(scale, 0, scale.train), frames(scale, 500, scale.test)
    found: dict[str, Any] = {
        "what": "batches of one and batch norm after global pooling, on synthetic streets (experiments.paper.fault)",
        "scale": {
            "size": str(scale.size),
            "train_frames": scale.train,
            "test_frames": scale.test,
            "steps": scale.steps,
            "sound_batch": scale.batch,
        },
        "networks": {},
    }
    for name in SUBJECTS:
        torch.manual_seed(0)
        published = as_published(create_model(name, CAMVID11.num_classes))
        first = without_gradient(published, train[:1])
        losses = fit(published, train, scale, batch=1)
        result = {
            "first_step": first,
            "last_step": without_gradient(published, train[:1]),
            "loss": [losses[0], losses[-1]],
            "gates": gates_of(published, test),
            "batch_statistics": scores(published, test),
        }
        use_moving_statistics(published, True)
        result["moving_statistics"] = scores(published, test)
        torch.manual_seed(0)
        sound = create_model(name, CAMVID11.num_classes).train()
        fit(sound, train, scale, batch=scale.batch)
        sound.eval()
        found["networks"][name] = {
            "published": result,
            "sound": {"gates": gates_of(sound, test), "moving_statistics": scores(sound, test)},
        }
    found["provenance"] = provenance()
    return found


def frames(scale: Scale, drive: int, count: int) -> list[Sample]:
    """Synthetic frames, four of each street, one second apart."""
    made = []
    for index in range(count):
        scene = render(drive + index // 4, 30 * (index % 4), scale.size)
        made.append(Sample(f"{drive + index // 4}_{index % 4}", scene.image, scene.label))
    return made


def to_batch(samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """Normalised float32 [N, 3, H, W] and labels int64 [N, H, W]."""
    norm = Normalization()
    images = np.stack([(s.image - np.array(norm.mean, np.float32)) / np.array(norm.std, np.float32) for s in samples])
    batch = torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2).contiguous()
    return batch, torch.from_numpy(np.stack([s.label for s in samples]).astype(np.int64))


def loss_of(net: SegmentationNetwork, samples: Sequence[Sample]) -> Tensor:
    """Mean cross-entropy at label size, ignored pixels left out."""
    images, labels = to_batch(samples)
    return F.cross_entropy(net(images), labels, ignore_index=IGNORE)


def fit(net: SegmentationNetwork, samples: Sequence[Sample], scale: Scale, *, batch: int) -> list[float]:
    """Plain AdamW steps on batches in a fixed order; returns the loss of each step."""
    optimizer = torch.optim.AdamW(net.parameters(), scale.lr, weight_decay=0.01)
    losses = []
    for chosen in _orders(len(samples), batch, scale.steps):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(net, [samples[i] for i in chosen])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def _orders(count: int, batch: int, steps: int) -> Iterator[list[int]]:
    rng, waiting = np.random.default_rng(0), list[int]()
    for _ in range(steps):
        if len(waiting) < batch:
            waiting = rng.permutation(count).tolist()
        yield [waiting.pop() for _ in range(batch)]


def without_gradient(net: SegmentationNetwork, samples: Sequence[Sample]) -> dict[str, Any]:
    """Which parts of the network a step cannot change: share of parameters with an exactly zero gradient, by part.

    Returns:
        ``parts``: share by first name of the module (``backbone``, ``sides``, ``spatial``, …); ``gates``: by gate.
    """
    net.zero_grad(set_to_none=True)
    loss_of(net, samples).backward()  # type: ignore[no-untyped-call]
    parts: dict[str, list[int]] = {}
    for name, parameter in net.named_parameters():
        still = 0 if parameter.grad is None else int(torch.count_nonzero(parameter.grad))
        place = parts.setdefault(name.split(".")[0], [0, 0])
        place[0] += parameter.numel() - still
        place[1] += parameter.numel()
    net.zero_grad(set_to_none=True)
    total = [sum(p[i] for p in parts.values()) for i in (0, 1)]
    shares = {name: round(zero / count, 4) for name, (zero, count) in parts.items()}
    return {"all": round(total[0] / total[1], 4), "parts": shares}


def gates_of(net: SegmentationNetwork, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Gate statistics over frames that pass one at a time, as in training with a batch of one and as in use."""
    with torch.inference_mode(), GateRecorder(net) as gates:
        for sample in samples:
            net.logits(to_batch([sample])[0])
    return gates.to_dict()


def scores(net: SegmentationNetwork, samples: Sequence[Sample]) -> dict[str, float]:
    """Mean IoU and pixel accuracy over frames that pass one at a time."""
    matrix = ConfusionMatrix(CAMVID11.num_classes)
    with torch.inference_mode():
        for sample in samples:
            predicted = net(to_batch([sample])[0])[0].argmax(0).to(torch.uint8).numpy()
            matrix.update(sample.label, predicted, sample.name)
    return matrix.metrics().means()
