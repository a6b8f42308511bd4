"""Numbers of others: the paper's own tables, and published networks on CamVid test.

None of them was measured here.  The paper's figures are of another protocol (32 classes with void counted,
alternating frames, 800×640, 30 images), so they stand beside ours as another game, never in a difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

PAPER = "Y. Cheng, Attention and Feature Fusion Network for Real-time Semantic Segmentation, Table 1"

PAPER_PROTOCOL = "32 classes, void counted, 60 epochs, 800×640, frames of one drive alternating between the splits"


@dataclass(frozen=True)
class PaperRow:
    """One network of the paper's Table 1.

    Attributes:
        title: what the paper calls it.
        val, test: pixel accuracy ("Average", "Test").
        fps: frames per second on a GeForce 840M, as claimed.
        accuracy: per-class accuracy, by class of camvid11; "traffic light" is a class of its own there.
    """

    title: str
    val: float
    test: float
    fps: int
    accuracy: dict[str, float]


_CLASSES = ("building", "tree", "sky", "car", "road", "pedestrian", "fence", "traffic light", "pavement")


def _row(title: str, val: float, test: float, fps: int, *accuracy: float) -> PaperRow:
    return PaperRow(title, val, test, fps, dict(zip(_CLASSES, accuracy, strict=True)))


PAPER_TABLE: dict[str, PaperRow] = {
    "bisenet": _row("BiSeNet", 0.85, 0.71, 25, 0.92, 0.63, 0.96, 0.76, 0.94, 0.19, 0.19, 0.27, 0.67),
    "depthwise_bisenet": _row("DepthwiseBiSeNet", 0.84, 0.62, 35, 0.84, 0.67, 0.97, 0.73, 0.94, 0.26, 0.28, 0.26, 0.62),
    "depthwise_aaff": _row("DepthwiseAAFF", 0.84, 0.71, 31, 0.83, 0.65, 0.96, 0.79, 0.97, 0.34, 0.19, 0.26, 0.56),
    "depthwise_aaff2": _row("DepthwiseAAFF2", 0.80, 0.80, 27, 0.85, 0.67, 0.96, 0.79, 0.94, 0.15, 0.10, 0.22, 0.53),
}
"""By registered name, in the paper's order; its sidewalk is the pavement of camvid11."""


class Published(NamedTuple):
    """A published network: mean IoU in percent on CamVid test, 11 classes."""

    name: str
    miou: float


FROM_SCRATCH = tuple(
    Published(name, miou)
    for name, miou in (
        ("ENet", 51.3), ("SegNet", 55.6), ("FC-DenseNet56", 58.9), ("CGNet", 65.6), ("DABNet", 66.4),
        ("EDANet", 66.4), ("FC-DenseNet103", 66.9), ("FC-HarDNet84", 67.7), ("FBSNet", 68.9), ("LMFFNet", 69.1),
        ("AGLNet", 69.4), ("LETNet", 70.5),
    )
)  # fmt: skip
"""Trained on CamVid alone at 480×360; most for up to 1000 epochs on train + val."""
