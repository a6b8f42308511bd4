"""Random views: image and label stay together, nothing is invented, and the generator decides alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aaff.data.augment import Augment
from aaff.errors import OptionError
from aaff.preprocess import Normalization, Size

SIDES = st.integers(2, 40)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def blocks(size: Size, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """A frame whose blocks have one colour a class, so that the label can be read off the image."""
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4) % 11
    label = np.kron(ids, np.ones((side, side), np.uint8))[: size.height, : size.width]
    image = np.stack([label * 20, 255 - label * 20, label * 10], axis=2)
    return image, label


def test_without_randomness_the_frame_stays_as_it_is() -> None:
    image, label = rng().integers(0, 256, (30, 40, 3), np.uint8), rng().integers(0, 11, (30, 40), np.uint8)
    still = Augment(Size(40, 30), scale=(1.0, 1.0), flip=0.0, jitter=0.0)
    seen, mask = still(image, label, rng(5))
    assert np.array_equal(seen, image)
    assert np.array_equal(mask, label)


def test_a_flip_mirrors_both_exactly() -> None:
    image, label = rng().integers(0, 256, (30, 40, 3), np.uint8), rng().integers(0, 11, (30, 40), np.uint8)
    seen, mask = Augment(Size(40, 30), scale=(1.0, 1.0), flip=1.0, jitter=0.0)(image, label, rng(5))
    assert np.array_equal(seen, image[:, ::-1])
    assert np.array_equal(mask, label[:, ::-1])


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_image_and_label_stay_aligned(scale: float, flip: float) -> None:
    image, label = blocks(Size(64, 48))
    view = Augment(Size(48, 40), scale=(scale, scale), flip=flip, jitter=0.0)
    for seed in range(5):
        seen, mask = view(image, label, rng(seed))
        inside = mask != 255
        by_color = np.rint(seen[..., 0] / 20).astype(int)
        # Away from the edges of the blocks the colour names the class; there, bilinear mixes two.
        assert (by_color == mask)[inside].mean() > 0.8
        plain = inside.copy()
        for axis in (0, 1):
            for shift in (-2, -1, 1, 2):
                plain &= np.roll(mask, shift, axis) == mask
        plain[:2], plain[-2:], plain[:, :2], plain[:, -2:] = False, False, False, False
        assert plain.any()
        assert np.array_equal(by_color[plain], mask[plain])


@settings(max_examples=60)
@given(width=SIDES, height=SIDES, crop=st.tuples(SIDES, SIDES), seed=st.integers(0, 2**32 - 1))
def test_any_size_gives_the_crop_and_no_new_id(width: int, height: int, crop: tuple[int, int], seed: int) -> None:
    draw = rng(seed)
    image = draw.integers(0, 256, (height, width, 3), np.uint8)
    label = draw.choice(np.array([3, 7, 255], np.uint8), (height, width))
    before = image.copy(), label.copy()
    seen, mask = Augment(Size(*crop), scale=(0.3, 3.0))(image, label, rng(seed))
    assert (seen.shape, seen.dtype) == ((crop[1], crop[0], 3), np.uint8)
    assert (mask.shape, mask.dtype) == ((crop[1], crop[0]), np.uint8)
    assert set(np.unique(mask)) <= {3, 7, 255}
    assert np.array_equal(image, before[0])
    assert np.array_equal(label, before[1])


def test_the_generator_alone_decides() -> None:
    image, label = rng().integers(0, 256, (30, 40, 3), np.uint8), rng().integers(0, 11, (30, 40), np.uint8)
    view = Augment(Size(32, 24))
    first, again, other = view(image, label, rng(1)), view(image, label, rng(1)), view(image, label, rng(2))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_options_do_not_change_how_much_is_drawn() -> None:
    """So that switching the flip off leaves scale and crop of every frame as they were."""
    image, label = blocks(Size(64, 48))
    left = []
    for view in (Augment(Size(32, 24)), Augment(Size(32, 24), flip=0.0, jitter=0.0, scale=(1.0, 1.0))):
        draw = rng(3)
        view(image, label, draw)
        left.append(draw.random())
    assert left[0] == left[1]


def test_outside_the_frame_is_void_and_mean_color() -> None:
    image, label = np.zeros((10, 10, 3), np.uint8), np.zeros((10, 10), np.uint8)
    seen, mask = Augment(Size(30, 30), scale=(1.0, 1.0), flip=0.0, jitter=0.0)(image, label, rng())
    assert (mask == 255).sum() == 30 * 30 - 10 * 10
    assert (seen[mask == 255] == [round(m) for m in Normalization().mean]).all()
    assert (seen[mask == 0] == 0).all()


def test_jitter_changes_colors_only() -> None:
    image, label = blocks(Size(64, 48))
    seen, mask = Augment(Size(64, 48), scale=(1.0, 1.0), flip=0.0, jitter=0.4)(image, label, rng(1))
    assert np.array_equal(mask, label)
    assert not np.array_equal(seen, image)


@pytest.mark.parametrize("options", [{"scale": (0.0, 1.0)}, {"scale": (2.0, 1.0)}, {"flip": 1.5}, {"jitter": 1.0}])
def test_impossible_values_are_named(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        Augment(Size(4, 4), **options)  # type: ignore[arg-type]


def test_a_frame_size_stands_for_resizing_every_frame_first() -> None:
    image, label = blocks(Size(64, 48))
    large, ids = (np.repeat(np.repeat(array, 2, axis=0), 2, axis=1) for array in (image, label))
    view = Augment(Size(40, 30), scale=(0.5, 2.0), jitter=0.0, frame=Size(64, 48))
    for seed in range(5):
        small, same = view(image, label, rng(seed))[1], view(large, ids, rng(seed))[1]
        assert (small == same).mean() > 0.97  # nearest pixels of exact halves may fall to either side
