"""What is in a data set: sizes, colours, pixels per class, and the class weights that follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aaff.data.sample import Dataset
from aaff.errors import DataError, UnknownNameError
from aaff.labels import IGNORE, LabelMap, UInt8Array
from aaff.preprocess import Size
from aaff.provenance import usable_cores

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

OnProgress = Callable[[int, int], None]
"""Called with the number of frames done and of all frames."""


@dataclass(frozen=True)
class FrameStatistics:
    """What one frame adds to the statistics of its split.

    Attributes:
        size: of the image.
        color_mean: mean of R, G, B on 0–255.
        color_square: mean of their squares.
        pixels: counted pixels per class, int64 [C].
        ignored: pixels that never count.
    """

    size: Size
    color_mean: Float64Array
    color_square: Float64Array
    pixels: Int64Array
    ignored: int

    @classmethod
    def of(cls, image: UInt8Array, label: UInt8Array, num_classes: int) -> FrameStatistics:
        """Count one frame: RGB uint8 [H, W, 3] and uint8 [H, W]."""
        mean, deviation = (np.asarray(part, np.float64).ravel() for part in cv2.meanStdDev(image))
        pixels, ignored = count_classes(label, num_classes)
        return cls(Size.of(image), mean, deviation**2 + mean**2, pixels, ignored)


def count_classes(label: UInt8Array, num_classes: int) -> tuple[Int64Array, int]:
    """Pixels per class, int64 [C], and ignored pixels of a label uint8 [H, W].

    >>> counts, ignored = count_classes(np.array([[0, 2, 255]], np.uint8), 3)
    >>> counts.tolist(), ignored
    ([1, 0, 1], 1)
    """
    counts = np.bincount(label.ravel(), minlength=IGNORE + 1)
    return counts[:num_classes].astype(np.int64), int(counts[IGNORE])


@dataclass
class SplitStatistics:
    """Statistics of one split; ``add`` collects them frame by frame.

    Attributes:
        labels: classes and colours.
        images: number of frames.
        sizes: frames per size.
        pixels: counted pixels per class, int64 [C].
        ignored: pixels that never count.
        present: frames in which each class occurs, int64 [C].
        pixels_where_present: counted pixels of all classes in those frames, int64 [C].
    """

    labels: LabelMap
    images: int = 0
    sizes: Counter[Size] = field(default_factory=Counter)
    ignored: int = 0
    _color: Float64Array = field(default_factory=lambda: np.zeros((2, 3)), repr=False)

    def __post_init__(self) -> None:
        self.pixels: Int64Array = np.zeros(self.labels.num_classes, np.int64)
        self.present: Int64Array = np.zeros_like(self.pixels)
        self.pixels_where_present: Int64Array = np.zeros_like(self.pixels)

    def add(self, frame: FrameStatistics) -> None:
        """Count one more frame."""
        self.images += 1
        self.sizes[frame.size] += 1
        self.ignored += frame.ignored
        self.pixels += frame.pixels
        self.present += frame.pixels > 0
        self.pixels_where_present += np.where(frame.pixels > 0, frame.pixels.sum(), 0)
        area = frame.size.width * frame.size.height
        self._color += area * np.stack([frame.color_mean, frame.color_square])

    @classmethod
    def merged(cls, labels: LabelMap, parts: Iterable[SplitStatistics]) -> SplitStatistics:
        """The statistics of several splits together."""
        whole = cls(labels)
        for part in parts:
            whole.images += part.images
            whole.sizes += part.sizes
            whole.ignored += part.ignored
            whole.pixels += part.pixels
            whole.present += part.present
            whole.pixels_where_present += part.pixels_where_present
            whole._color += part._color
        return whole

    @property
    def shares(self) -> Float64Array:
        """Share of each class in the counted pixels, float64 [C]; zeros when nothing counts."""
        return self.pixels / max(1, int(self.pixels.sum()))

    @property
    def presence(self) -> Float64Array:
        """Share of the frames in which each class occurs, float64 [C]."""
        return self.present / max(1, self.images)

    @property
    def ignored_share(self) -> float:
        """Share of the ignored pixels in all pixels."""
        return self.ignored / max(1, self.ignored + int(self.pixels.sum()))

    @property
    def color_mean(self) -> Float64Array:
        """Mean of R, G, B over all pixels, on 0–255."""
        return np.asarray(self._color[0] / self._area, np.float64)

    @property
    def color_std(self) -> Float64Array:
        """Standard deviation of R, G, B over all pixels, on 0–255."""
        return np.asarray(np.sqrt(np.maximum(0, self._color[1] / self._area - self.color_mean**2)), np.float64)

    @property
    def _area(self) -> int:
        return max(1, sum(size.width * size.height * count for size, count in self.sizes.items()))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        shares, presence = self.shares, self.presence
        return {
            "images": self.images,
            "sizes": {str(size): count for size, count in self.sizes.most_common()},
            "ignored_share": self.ignored_share,
            "rgb_mean": self.color_mean.tolist(),
            "rgb_std": self.color_std.tolist(),
            "per_class": {
                name: {"pixels": int(self.pixels[i]), "share": shares[i], "images": int(self.present[i])}
                | {"image_share": presence[i]}
                for i, name in enumerate(self.labels.names)
            },
        }


def split_statistics(
    dataset: Dataset, *, threads: int | None = None, progress: OnProgress | None = None
) -> SplitStatistics:
    """Read every frame of a split and count.

    Args:
        dataset: the split.
        threads: how many threads read; None takes one per core.
        progress: called after every frame.

    Raises:
        DataError: a frame cannot be read.
    """
    statistics = SplitStatistics(dataset.labels)

    def count(index: int) -> FrameStatistics:
        sample = dataset[index]
        return FrameStatistics.of(sample.image, sample.label, dataset.labels.num_classes)

    with ThreadPoolExecutor(threads or usable_cores()) as pool:
        for done, frame in enumerate(pool.map(count, range(len(dataset))), 1):
            statistics.add(frame)
            if progress is not None:
                progress(done, len(dataset))
    return statistics


def class_frequencies(dataset: Dataset, *, threads: int | None = None) -> Float64Array:
    """Share of each class in the counted pixels of a split: float64 [C], sum 1.  Only labels are read.

    Raises:
        DataError: a label cannot be read, or no pixel of the split counts.
    """
    classes = dataset.labels.num_classes
    with ThreadPoolExecutor(threads or usable_cores()) as pool:
        counts = pool.map(lambda index: count_classes(dataset.label(index), classes)[0], range(len(dataset)))
        pixels = np.sum([np.zeros(classes, np.int64), *counts], axis=0)
    if not pixels.any():
        raise DataError(f"no pixel of split {dataset.split!r} of {dataset.root} has a class: all labels are void")
    return np.asarray(pixels / pixels.sum(), np.float64)


WEIGHTINGS = ("enet-log", "median-frequency")
"""Formulas for class weights, by the names that training's ``loss.class_weights`` takes."""


def weight_classes(
    formula: str, pixels: npt.ArrayLike, pixels_where_present: npt.ArrayLike, enet_constant: float = 1.10
) -> Float64Array:
    """Class weights of a loss from how often each class occurs: float64 [C].  Training uses this function too.

    - ``"enet-log"``: 1 / ln(1.10 + p), p the class's share of all counted pixels (ENet, arXiv:1606.02147, section
      5.2, there with 1.02; 1.10 as in DABNet, LMFFNet, LETNet and FBSNet).
    - ``"median-frequency"``: median(f) / f, f the class's share in the frames that show it, the median over the
      classes that occur (Eigen and Fergus, arXiv:1411.4734, section 6.3.2, as SegNet has it).  A class that never
      occurs has weight 1.

    Args:
        formula: one of ``WEIGHTINGS``.
        pixels: counted pixels of each class, [C].
        pixels_where_present: counted pixels of all classes in the frames that show the class, [C].
        enet_constant: what ``"enet-log"`` adds to the share, above 1.

    Raises:
        UnknownNameError: no such formula.

    >>> weight_classes("enet-log", [60, 40], [100, 100]).round(2).tolist()
    [1.88, 2.47]
    >>> weight_classes("median-frequency", [60, 40, 0], [100, 100, 0]).round(2).tolist()
    [0.83, 1.25, 1.0]
    """
    if formula not in WEIGHTINGS:
        raise UnknownNameError("formula for class weights", formula, WEIGHTINGS)
    count, around = np.asarray(pixels, np.float64), np.asarray(pixels_where_present, np.float64)
    if formula == "enet-log":
        return np.asarray(1 / np.log(enet_constant + count / max(count.sum(), 1)), np.float64)
    weights = np.ones(len(count))
    present = count > 0
    if present.any():
        frequency = count[present] / around[present]
        weights[present] = np.median(frequency) / frequency
    return weights


def suggested_weights(splits: Mapping[str, SplitStatistics]) -> tuple[str, dict[str, dict[str, float]]]:
    """Class weights for training on a data set.

    Returns:
        What they are made from, ``"train"`` or, where there is no such split, the only one or ``"all splits"``;
        and by formula, see ``WEIGHTINGS``, the weight of each class: what training computes from the same frames.
    """
    labels = next(iter(splits.values())).labels
    source = "train" if "train" in splits else next(iter(splits)) if len(splits) == 1 else "all splits"
    statistics = splits.get(source) or SplitStatistics.merged(labels, splits.values())
    return source, {
        formula: {
            name: round(float(weight), 4)
            for name, weight in zip(
                labels.names,
                weight_classes(formula, statistics.pixels, statistics.pixels_where_present),
                strict=True,
            )
        }
        for formula in WEIGHTINGS
    }
