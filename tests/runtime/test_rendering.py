"""Pictures of class maps: right colours, nothing hidden, legends that stay in place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aaff.errors import OptionError
from aaff.labels import CAMVID11, CAMVID32, LabelMap
from aaff.runtime import rendering


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_colours_are_those_of_the_label_map(class_map):
    np.testing.assert_array_equal(rendering.color_map(class_map, CAMVID32), CAMVID32.colorize(class_map))


def test_alpha_goes_from_the_frame_to_the_colours():
    rng = np.random.default_rng(0)
    image, class_map = rng.integers(0, 255, (6, 7, 3), np.uint8), rng.integers(0, 11, (6, 7), np.uint8)
    before = image.copy()
    colors = CAMVID11.colorize(class_map)
    np.testing.assert_array_equal(rendering.overlay(image, class_map, CAMVID11, 0), image)
    np.testing.assert_array_equal(rendering.overlay(image, class_map, CAMVID11, 1), colors)
    half = rendering.overlay(image, class_map, CAMVID11, 0.5).astype(int)
    assert np.abs(half * 2 - image - colors.astype(int)).max() <= 1
    np.testing.assert_array_equal(image, before)


def shares_of(count, present):
    shares = np.zeros(count)
    shares[: len(present)] = present
    return shares


def test_a_legend_lists_present_classes_by_share():
    entries = rendering.legend_entries(CAMVID11, shares_of(11, [0.2, 0, 0.5, 0.3]))
    assert [entry.name for entry in entries] == ["pole", "road", "sky"]
    every = rendering.legend_entries(CAMVID11, shares_of(11, [0.2, 0, 0.5, 0.3]), every=True)
    assert [entry.name for entry in every] == list(CAMVID11.names)


@settings(max_examples=40)
@given(
    st.integers(1, 700),
    st.integers(1, 500),
    st.integers(1, 11),
    st.lists(st.text(min_size=1, max_size=40), min_size=11, max_size=11, unique=True),
)
def test_the_picture_stays_whole_beside_any_legend(width, height, count, names):
    labels = LabelMap("any", tuple(names), CAMVID11.colors)
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    entries = rendering.legend_entries(labels, shares_of(11, np.full(count, 1 / count)))
    result = rendering.with_legend(picture, entries)
    np.testing.assert_array_equal(result[:height, :width], picture)
    assert result.dtype == np.uint8
    assert result.size > picture.size
    for entry in entries:
        beside = np.concatenate([result[height:].reshape(-1, 3), result[:, width:].reshape(-1, 3)])
        assert (beside == entry.color).all(axis=1).sum() >= 36, "every swatch is there"


@pytest.mark.parametrize("size", [(160, 120), (480, 360), (1280, 720), (360, 640)])
def test_frames_of_a_video_keep_one_size_whatever_their_shares(size):
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    shapes = {
        rendering.with_legend(picture, rendering.legend_entries(CAMVID11, shares, every=True)).shape
        for shares in (shares_of(11, [1.0]), shares_of(11, [0.5, 0.0001, 0.4999]), np.full(11, 1 / 11))
    }
    assert len(shapes) == 1


def test_text_grows_with_the_picture():
    entries = rendering.legend_entries(CAMVID11, np.full(11, 1 / 11))

    def strip(width, height):
        result = rendering.with_legend(np.zeros((height, width, 3), np.uint8), entries)
        return (result.shape[0] - height) / height

    assert strip(3000, 2250) == pytest.approx(strip(480, 360), rel=0.1)


def test_no_class_no_legend():
    picture = np.zeros((4, 4, 3), np.uint8)
    assert rendering.with_legend(picture, []) is picture


def test_side_by_side():
    left, right = np.zeros((4, 3, 3), np.uint8), np.ones((4, 5, 3), np.uint8)
    joined = rendering.side_by_side(left, right)
    assert joined.shape == (4, 8, 3)
    with pytest.raises(OptionError):
        rendering.side_by_side(left, right[:2])


@pytest.mark.parametrize(
    ("alpha", "class_map"), [(1.2, np.zeros((4, 4), np.uint8)), (-0.1, np.zeros((4, 4), np.uint8))]
)
def test_alpha_out_of_range(alpha, class_map):
    with pytest.raises(OptionError, match="alpha"):
        rendering.overlay(np.zeros((4, 4, 3), np.uint8), class_map, CAMVID11, alpha)


def test_sizes_that_differ():
    with pytest.raises(OptionError, match="4x4 but its class map 5x4"):
        rendering.overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8), CAMVID11)
