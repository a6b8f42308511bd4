"""Copy-paste augmentation: objects of rare classes, such as poles, signs and people, are pasted from other frames.

After G. Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method", CVPR 2021, adapted to semantic labels:
an object is a connected region of one class.  It is moved sideways but keeps its height above the bottom of the frame,
which in street scenes corresponds to its size.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from aaff.data.sample import Dataset
from aaff.errors import OptionError
from aaff.labels import UInt8Array
from aaff.preprocess import Size, resize_image, resize_label

_MOST = 4
"""Maximum number of objects pasted into one frame."""

_LEAST_PIXELS = 24
"""Minimum size of an object in pixels; smaller regions are label noise."""


class PasteRareObjects:
    """Pastes objects of rare classes from random frames of a data set, with some probability.

    Args:
        dataset: source of the objects, preferably a data set that keeps its frames in memory.
        counts: labelled pixels of each class in each frame, integers [frames, C].
        classes: names of the classes whose objects are pasted; names that the data set does not have are ignored.
        probability: probability that objects are pasted into a frame.

    Raises:
        OptionError: no frame shows any of the classes.
    """

    def __init__(
        self, dataset: Dataset, counts: npt.NDArray[np.int64], classes: Sequence[str], probability: float
    ) -> None:
        names = dataset.labels.names
        ids = [names.index(name) for name in classes if name in names]
        frames = {i: np.flatnonzero(counts[:, i] >= _LEAST_PIXELS) for i in ids}
        self.sources = {i: found for i, found in frames.items() if len(found)}
        if not self.sources:
            raise OptionError(
                f"augment.paste_classes is {', '.join(classes)}, but no training frame shows any of them; name "
                f"classes of the data ({', '.join(names)}), or set augment.paste to 0"
            )
        self.dataset, self.probability = dataset, probability

    def __call__(self, image: UInt8Array, mask: UInt8Array, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
        """The frame RGB uint8 [H, W, 3] and its label uint8 [H, W]; copies if objects were pasted into them."""
        if rng.random() >= self.probability:
            return image, mask
        image, mask = image.copy(), mask.copy()
        for _ in range(int(rng.integers(1, _MOST + 1))):
            self._paste(image, mask, rng)
        return image, mask

    def _paste(self, image: UInt8Array, mask: UInt8Array, rng: np.random.Generator) -> None:
        class_id = int(rng.choice(list(self.sources)))
        source = self.dataset[int(rng.choice(self.sources[class_id]))]
        size = Size.of(image)
        frame, label = source.image, source.label
        if Size.of(frame) != size:
            frame, label = resize_image(frame, size), resize_label(label, size)
        number, regions, boxes, _ = cv2.connectedComponentsWithStats((label == class_id).astype(np.uint8))
        large = [i for i in range(1, number) if boxes[i][cv2.CC_STAT_AREA] >= _LEAST_PIXELS]
        if not large:
            return
        region = int(rng.choice(large))
        left, top, width, height = (int(v) for v in boxes[region][:4])
        to = int(rng.integers(0, size.width - width + 1))
        inside = regions[top : top + height, left : left + width] == region
        place = (slice(top, top + height), slice(to, to + width))
        object_ = frame[top : top + height, left : left + width]
        image[place][inside] = object_[inside]
        mask[place][inside] = class_id
