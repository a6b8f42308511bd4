"""Batches: the same for any number of workers, after a resume, and in total over any number of processes."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from aaff.data import open_dataset
from aaff.data.augment import Augment
from aaff.data.augmentations import find_augmentation, register_augmentation
from aaff.data.cache import CachedDataset
from aaff.data.layouts import write_dataset
from aaff.data.loader import Batch, BatchPlan, batches
from aaff.data.mixture import mixed
from aaff.data.sample import Dataset, Sample
from aaff.errors import DataError, OptionError, UnknownNameError
from aaff.labels import CAMVID11
from aaff.preprocess import Size
from aaff.training.preparation import class_counts

VIEW = Augment(Size(64, 48))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """24 frames of noise, 80×60."""
    root, draw = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    samples = [
        Sample(f"f{i:02}", draw.integers(0, 256, (60, 80, 3), np.uint8), draw.integers(0, 11, (60, 80), np.uint8))
        for i in range(24)
    ]
    write_dataset("segnet", root, "train", samples, CAMVID11)
    return CachedDataset(open_dataset(root, "train"))


def same(left: list[Batch], right: list[Batch]) -> bool:
    return len(left) == len(right) and all(
        torch.equal(a, b) for one, other in zip(left, right, strict=True) for a, b in zip(one, other, strict=True)
    )


def test_shapes_and_types(frames: Dataset) -> None:
    images, labels = next(iter(batches(frames, BatchPlan(24, 4, seed=0), VIEW, epoch=0)))
    assert (images.shape, images.dtype) == ((4, 48, 64, 3), torch.uint8)
    assert (labels.shape, labels.dtype) == ((4, 48, 64), torch.uint8)


def test_any_number_of_workers_gives_the_same_batches(frames: Dataset) -> None:
    plan = BatchPlan(24, 4, seed=7)
    alone, one, two = (list(batches(frames, plan, VIEW, epoch=3, workers=n)) for n in (0, 1, 2))
    assert len(alone) == 6
    assert same(alone, one)
    assert same(alone, two)


def test_an_epoch_goes_on_in_its_middle(frames: Dataset) -> None:
    plan = BatchPlan(24, 5, seed=7)
    whole = list(batches(frames, plan, VIEW, epoch=1))
    assert same(whole[2:], list(batches(frames, plan, VIEW, epoch=1, start=2)))
    assert list(batches(frames, plan, VIEW, epoch=1, start=4)) == []


def test_epochs_and_seeds_differ(frames: Dataset) -> None:
    first = list(batches(frames, BatchPlan(24, 8, seed=0), VIEW, epoch=0))
    assert not same(first, list(batches(frames, BatchPlan(24, 8, seed=0), VIEW, epoch=1)))
    assert not same(first, list(batches(frames, BatchPlan(24, 8, seed=1), VIEW, epoch=0)))


@pytest.mark.parametrize(("world", "parts"), [(2, 1), (4, 1), (1, 3), (2, 3)])
def test_processes_share_every_part_of_a_batch(world: int, parts: int) -> None:
    whole = BatchPlan(30, 12, seed=1, parts=parts).batches(epoch=2)
    shares = [BatchPlan(30, 12, seed=1, rank=rank, world=world, parts=parts).batches(epoch=2) for rank in range(world)]
    for step, batch in enumerate(whole):
        for part in range(parts):
            size = 12 // parts
            together = [
                key for share in shares for key in share[step][part * size // world : (part + 1) * size // world]
            ]
            assert together == batch[part * size : (part + 1) * size]


def test_every_frame_comes_once_an_epoch_and_a_short_rest_is_dropped() -> None:
    plan = BatchPlan(11, 4, seed=0)
    assert plan.steps == 2
    order = plan.order(epoch=0)
    assert order.shape == (2, 4)
    assert len(set(order.ravel().tolist())) == 8
    assert [[frame for _, frame in batch] for batch in plan.batches(0)] == order.tolist()


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"frames": 5, "batch": 8}, "larger than the split of 5 frames"),
        ({"frames": 9, "batch": 8, "world": 3}, "cannot be divided evenly among 3 processes"),
        ({"frames": 9, "batch": 8, "parts": 3}, "cannot be divided evenly into 3 parts"),
        ({"frames": 9, "batch": 1}, "use 2 frames or more"),
        ({"frames": 9, "batch": 8, "parts": 8}, "a batch of 8 in 8 parts"),
    ],
)
def test_impossible_batches_are_explained(plan: dict[str, int], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        BatchPlan(seed=0, **plan)


def test_workers_leave_the_signals_to_their_parent(frames: Dataset) -> None:
    """Ctrl-C reaches them too, and the process that trains still finishes its step."""

    def hurt(image: Any, mask: Any) -> dict[str, Any]:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        return {"image": image, "mask": mask}

    plan = BatchPlan(24, 12, seed=0)
    seen = list(batches(frames, plan, VIEW, epoch=0, workers=1, transform=hurt))
    assert same(seen, list(batches(frames, plan, VIEW, epoch=0)))


def test_threads_of_opencv_are_given_back(frames: Dataset) -> None:
    before = cv2.getNumThreads()
    for _ in batches(frames, BatchPlan(24, 12, seed=0), VIEW, epoch=0):
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == before


def test_a_transform_comes_before_the_views(frames: Dataset) -> None:
    still = Augment(Size(80, 60), scale=(1.0, 1.0), flip=0.0, jitter=0.0)
    plan = BatchPlan(24, 2, seed=0)
    images, _ = next(
        iter(batches(frames, plan, still, epoch=0, transform=lambda image, mask: {"image": 255 - image, "mask": mask}))
    )
    assert np.array_equal(images[0].numpy(), 255 - frames[plan.order(0)[0, 0]].image)


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (lambda image, mask: (image, mask), "must return a mapping"),
        (lambda image, mask: {"image": image}, "must return a mapping"),
        (lambda image, mask: {"image": image / 255, "mask": mask}, "must stay uint8"),
        (lambda image, mask: {"image": image[:9], "mask": mask}, "of one size"),
    ],
)
def test_a_transform_that_breaks_the_contract_is_explained(frames: Dataset, transform: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        next(iter(batches(frames, BatchPlan(24, 2, seed=0), VIEW, epoch=0, transform=transform)))


def test_a_worker_tells_of_bad_data_in_one_sentence(frames: Dataset) -> None:
    def bad(image: Any, mask: Any) -> dict[str, Any]:
        raise DataError("frame x is cut off")

    with pytest.raises(DataError) as error:
        list(batches(frames, BatchPlan(24, 2, seed=0), VIEW, epoch=0, workers=1, transform=bad))
    assert str(error.value) == "frame x is cut off"


def test_augmentations_have_their_own_randomness_and_are_checked(frames: Dataset) -> None:
    plan = BatchPlan(24, 4, seed=7)

    def same_frame(image: Any, mask: Any, rng: np.random.Generator) -> Any:
        rng.random(5)
        return image, mask

    plain = list(batches(frames, plan, VIEW, epoch=1))
    assert same(plain, list(batches(frames, plan, VIEW, epoch=1, augmentations=[same_frame])))

    @register_augmentation
    def cuts_the_mask(image: Any, mask: Any, rng: np.random.Generator) -> Any:
        return image, mask[1:]

    with pytest.raises(DataError, match="cuts_the_mask"):
        next(iter(batches(frames, plan, VIEW, epoch=1, augmentations=[find_augmentation("cuts_the_mask")])))


def test_an_unknown_augmentation_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown augmentation"):
        find_augmentation("no_such_augmentation")


def test_a_mixture_repeats_frames_but_keeps_and_counts_them_once(frames: Dataset) -> None:
    read: list[Path] = []

    def counted(path: Path) -> Any:
        read.append(path)
        return frames.read_label(path)

    plain = open_dataset(frames.root, "train")
    several = mixed([replace(plain, pairs=plain.pairs[:3], read_label=counted)], (4,))
    assert len(several) == 12
    cached = CachedDataset(several)
    assert len(read) == 3
    assert cached[0].image is cached[3].image
    assert class_counts(several).shape == (12, 11)
    assert len(read) == 6
