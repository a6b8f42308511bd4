"""Statistics of a data set: sizes, colours, pixels per class, and class weights computed from them."""

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
"""Called with the number of frames done and the total."""


@dataclass(frozen=True)
class FrameStatistics:
    """Statistics of one frame.

    Attributes:
        size: size of the image.
        color_mean: mean of R, G, B in 0–255.
        color_square: mean of their squares.
        pixels: labelled pixels per class, int64 [C].
        ignored: number of ignored pixels.
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
    """Statistics of one split; ``add`` accumulates them frame by frame.

    Attributes:
        labels: names and colours of the classes.
        images: number of frames.
        sizes: number of frames per size.
        pixels: labelled pixels per class, int64 [C].
        ignored: number of ignored pixels.
        present: number of frames in which each class occurs, int64 [C].
        pixels_where_present: labelled pixels of all classes in those frames, int64 [C].
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
        """Add the statistics of one frame."""
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
        """The combined statistics of several splits."""
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
        """Share of each class in the labelled pixels, float64 [C]; zeros if there are none."""
        return self.pixels / max(1, int(self.pixels.sum()))

    @property
    def presence(self) -> Float64Array:
        """Share of the frames in which each class occurs, float64 [C]."""
        return self.present / max(1, self.images)

    @property
    def ignored_share(self) -> float:
        """Share of ignored pixels in all pixels."""
        return self.ignored / max(1, self.ignored + int(self.pixels.sum()))

    @property
    def color_mean(self) -> Float64Array:
        """Mean of R, G, B over all pixels, in 0–255."""
        return np.asarray(self._color[0] / self._area, np.float64)

    @property
    def color_std(self) -> Float64Array:
        """Standard deviation of R, G, B over all pixels, on the scale 0–255."""
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
    """Read every frame of a split and compute its statistics.

    Args:
        dataset: the split.
        threads: number of reading threads; None: one per core.
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
    """Share of each class in the labelled pixels of a split: float64 [C], sum 1.  Only labels are read.

    Raises:
        DataError: a label cannot be read, or the split has no labelled pixel.
    """
    classes = dataset.labels.num_classes
    with ThreadPoolExecutor(threads or usable_cores()) as pool:
        counts = pool.map(lambda index: count_classes(dataset.label(index), classes)[0], range(len(dataset)))
        pixels = np.sum([np.zeros(classes, np.int64), *counts], axis=0)
    if not pixels.any():
        raise DataError(f"no pixel of split {dataset.split!r} of {dataset.root} has a class: all labels are void")
    return np.asarray(pixels / pixels.sum(), np.float64)


WEIGHTINGS = ("enet-log", "median-frequency")
"""Formulas for class weights, by the names used in ``loss.class_weights`` of a recipe."""


def weight_classes(
    formula: str, pixels: npt.ArrayLike, pixels_where_present: npt.ArrayLike, enet_constant: float = 1.10
) -> Float64Array:
    """Class weights of a loss from the class frequencies: float64 [C].  Training uses this function too.

    - ``"enet-log"``: 1 / ln(1.10 + p), where p is the class's share of all labelled pixels (ENet, arXiv:1606.02147,
      section 5.2, with 1.02; DABNet, LMFFNet, LETNet and FBSNet use 1.10).
    - ``"median-frequency"``: median(f) / f, where f is the class's share in the frames that show it, and the median is
      over the classes that occur (Eigen and Fergus, arXiv:1411.4734, section 6.3.2, as in SegNet).  A class that never
      occurs has weight 1.

    Args:
        formula: one of ``WEIGHTINGS``.
        pixels: labelled pixels of each class, [C].
        pixels_where_present: labelled pixels of all classes in the frames that show the class, [C].
        enet_constant: constant of ``"enet-log"``, above 1.

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
        The name of the split they are computed from: ``"train"``, or if there is none, the only split or
        ``"all splits"``; and for each formula in ``WEIGHTINGS`` the weight of each class, as training would compute it.
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
