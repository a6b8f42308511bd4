"""Training batches: a plan of the batches of an epoch, and a PyTorch loader that follows it.

The randomness of each sample depends only on seed, epoch and frame, and the composition of each batch only on seed and
epoch.  So the batches are the same with any number of worker processes, after resuming in the middle of an epoch, and
in total over any number of ranks.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from aaff.data.augment import Augment
from aaff.data.augmentations import Augmentation, check_view
from aaff.data.sample import Dataset
from aaff.errors import DataError, OptionError
from aaff.labels import UInt8Array
from aaff.signals import STOPPING

Transform = Callable[..., Mapping[str, Any]]
"""Any ``f(image=, mask=)`` that returns a mapping with both, as Albumentations transforms do."""

Batch = tuple[Tensor, Tensor]
"""Images uint8 [n, H, W, 3] RGB and labels uint8 [n, H, W]."""


@dataclass(frozen=True)
class BatchPlan:
    """Assigns frames to batches.

    A smaller last batch is dropped, since batch norm after global pooling needs several frames.

    Attributes:
        frames: number of frames in the split.
        batch: batch size, over all ranks.
        seed: seed of the order.
        rank, world: number of this process and number of processes; each takes its share of every batch.
        parts: number of micro-batches per batch; each process takes its share of each micro-batch, so that these
            contain the same frames with any number of processes.

    Raises:
        OptionError: the batch is larger than the split, or a micro-batch is smaller than 2 or cannot be divided among
            the processes.

    >>> plan = BatchPlan(frames=5, batch=2, seed=0)
    >>> plan.steps, [len(b) for b in plan.batches(epoch=0)]
    (2, [2, 2])
    """

    frames: int
    batch: int
    seed: int
    rank: int = 0
    world: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        if self.batch > self.frames:
            raise OptionError(
                f"the batch of {self.batch} is larger than the split of {self.frames} frames; give a smaller --batch"
            )
        if self.batch % (self.world * self.parts):
            into = (f" into {self.parts} parts" if self.parts > 1 else "") + (
                f" among {self.world} processes" if self.world > 1 else ""
            )
            raise OptionError(f"a batch of {self.batch} cannot be divided evenly{into}; change the batch")
        if self.batch // self.parts < 2:
            raise OptionError(
                f"a batch of {self.batch} in {self.parts} part{'s' * (self.parts > 1)} leaves batch norm after global "
                "pooling one value per channel; use 2 frames or more per part, better 8"
            )

    @property
    def steps(self) -> int:
        """Number of batches in an epoch."""
        return self.frames // self.batch

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The frames of each batch of an epoch, over all processes: int64 [steps, batch]."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.frames)
        return order[: self.steps * self.batch].reshape(self.steps, self.batch)

    def batches(self, epoch: int, start: int = 0) -> list[list[tuple[int, int]]]:
        """This process's share of each batch from number ``start`` on, as (epoch, frame) pairs by micro-batch."""
        shares = self.order(epoch).reshape(self.steps, self.parts, self.world, -1)[start:, :, self.rank]
        return [[(epoch, int(frame)) for frame in share.ravel()] for share in shares]


_View = tuple[UInt8Array, UInt8Array]


class _Views(TorchDataset[_View | DataError]):
    """Augmented frames of a data set, indexed by (epoch, frame)."""

    def __init__(
        self,
        dataset: Dataset,
        augment: Augment,
        seed: int,
        transform: Transform | None,
        augmentations: Sequence[Augmentation],
    ) -> None:
        self.dataset, self.augment, self.seed, self.transform = dataset, augment, seed, transform
        self.augmentations = augmentations

    def __getitem__(self, key: tuple[int, int]) -> _View | DataError:
        try:
            return self._view(*key)
        except DataError as error:  # an error raised in a worker would arrive wrapped in a traceback
            return error

    def _view(self, epoch: int, frame: int) -> _View:
        sample = self.dataset[frame]
        image, label = sample.image, sample.label
        if self.transform is not None:
            image, label = _apply(self.transform, image, label)
        if self.augmentations:
            rng = np.random.default_rng([self.seed, epoch, frame, 1])  # separate, so that the crops do not change
            for augmentation in self.augmentations:
                image, label = augmentation(image, label, rng)
        return self.augment(image, label, np.random.default_rng([self.seed, epoch, frame]))


def _apply(transform: Transform, image: UInt8Array, label: UInt8Array) -> tuple[UInt8Array, UInt8Array]:
    result = transform(image=image, mask=label)
    try:
        image, label = np.asarray(result["image"]), np.asarray(result["mask"])
    except (KeyError, TypeError) as error:
        raise DataError("the transform must return a mapping with 'image' and 'mask'") from error
    return check_view(image, label, "transform")


def _collate(views: list[_View | DataError]) -> Batch | DataError:
    good = []
    for view in views:
        if isinstance(view, DataError):
            return view
        good.append(view)
    images, labels = zip(*good, strict=True)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))


def _leave_signals_to_the_parent(worker: int) -> None:
    """Ignore Ctrl-C, which reaches the whole process group: the training process still needs its batches."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)  # a worker ends when its parent closes it or dies


def batches(
    dataset: Dataset,
    plan: BatchPlan,
    augment: Augment,
    *,
    epoch: int,
    start: int = 0,
    workers: int = 0,
    pin_memory: bool = False,
    transform: Transform | None = None,
    augmentations: Sequence[Augmentation] = (),
) -> Iterator[Batch]:
    """Iterate over the batches of one epoch, from number ``start`` on.

    Args:
        dataset: the frames; a ``CachedDataset`` decodes each only once.
        plan: assigns frames to batches.
        augment: the augmentation.
        epoch: number of the epoch, from 0.
        start: number of the first batch, for resuming in the middle of an epoch.
        workers: number of loading processes; 0 loads in this process.  The batches do not depend on it.
        pin_memory: use pinned memory, for asynchronous copies to a GPU.
        transform: applied to whole frames before ``augment``; its randomness is not controlled by the plan.
        augmentations: applied to whole frames after ``transform``, each ``f(image, mask, rng)``.

    Raises:
        DataError: a frame cannot be read, or the transform breaks the data contract.
    """
    order = plan.batches(epoch, start)
    # OpenCV's threads would compete for the cores with the compute threads, and do not survive a fork.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for batch in DataLoader(
            _Views(dataset, augment, plan.seed, transform, augmentations),
            batch_sampler=order,  # a list of lists of keys is a sampler of batches
            num_workers=min(workers, len(order)),
            collate_fn=_collate,
            pin_memory=pin_memory,
            worker_init_fn=_leave_signals_to_the_parent,
        ):
            if isinstance(batch, DataError):
                raise batch
            yield batch
    finally:
        cv2.setNumThreads(threads)
