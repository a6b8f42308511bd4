"""Pictures of class maps: right colours, nothing hidden, legends that stay in place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aaff.errors import OptionError
from aaff.labels import CAMVID11, CAMVID32, LabelMap
from aaff.preprocess import Size
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
    st.integers(0, 11),
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40),
        min_size=11,
        max_size=11,
        unique=True,
    ),
)
def test_a_legend_inside_keeps_the_size_and_two_thirds_of_the_picture(width, height, count, names):
    labels = LabelMap("any", tuple(names), CAMVID11.colors)
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    entries = rendering.legend_entries(labels, shares_of(11, np.full(count, 1 / max(1, count))))
    before = picture.copy()
    result = rendering.with_legend(picture, entries)
    assert (result.shape, result.dtype) == (picture.shape, np.uint8)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(result[: 2 * height // 3], picture[: 2 * height // 3])


def test_a_usual_picture_gets_every_class():
    entries = rendering.legend_entries(CAMVID11, np.full(11, 1 / 11))
    panel = rendering.Inset.fitting(Size(480, 360), entries).panel
    for entry in entries:
        assert (panel == entry.color).all(axis=2).sum() >= 36, "every swatch is there"
    for size in (Size(40, 30), Size(160, 120)):  # the second has space for one entry
        assert rendering.Inset.fitting(size, entries) is None
    assert rendering.Inset.fitting(Size(160, 120), entries[:1]) is not None


def test_extreme_shapes_cost_nothing():
    entries = rendering.legend_entries(CAMVID11, np.full(11, 1 / 11))
    for size in (Size(1, 10**6), Size(10**6, 1), Size(60_000, 60_000)):
        inset = rendering.Inset.fitting(size, entries)
        assert inset is None or inset.panel.size < 10**7


@pytest.mark.parametrize("size", [(320, 240), (480, 360), (1280, 720), (360, 640)])
def test_frames_of_a_video_have_one_legend_whatever_their_shares(size):
    panels = [
        rendering.Inset.fitting(Size(*size), rendering.legend_entries(CAMVID11, shares, every=True), shares=False)
        for shares in (shares_of(11, [1.0]), np.full(11, 1 / 11))
    ]
    np.testing.assert_array_equal(panels[0].panel, panels[1].panel)


def test_a_legend_of_its_own_has_every_class():
    entries = rendering.legend_entries(CAMVID32, np.full(31, 1 / 31))
    panel = rendering.legend(entries)
    assert all((panel == entry.color).all(axis=2).any() for entry in entries)


def test_a_small_map_is_enlarged_with_smooth_edges():
    half = np.zeros((6, 6), np.uint8)
    half[:, 3:] = 3
    colors = rendering.shown_colors(half, CAMVID11, Size(60, 60))
    assert colors.shape == (60, 60, 3)
    row = colors[30, :, 1].astype(int)  # from 128 to 64
    assert np.abs(np.diff(row)).max() < 20
    image = np.zeros((60, 60, 3), np.uint8)
    only = rendering.overlay(image, half, CAMVID11, 1.0, half == 3)
    assert not only[:, :20].any()
    np.testing.assert_array_equal(only[:, 45:], colors[:, 45:])


def test_steps_of_an_edge_are_smoothed_and_thin_things_stay():
    below = np.tril(np.ones((40, 40), np.uint8))
    below[:, 30] = 8
    fine, rough = (rendering.shown_colors(below, CAMVID11, Size(160, 160), fine=fine) for fine in (True, False))
    line = np.array(CAMVID11.colors[8])
    assert (np.abs(fine[:, 120:124].astype(int) - line).max(axis=(1, 2)) < 60).all()
    ideal = np.where(np.tri(160, dtype=bool)[..., None], CAMVID11.colors[1], CAMVID11.colors[0])
    error = [np.abs(picture[:100, :100].astype(int) - ideal[:100, :100]).mean() for picture in (fine, rough)]
    assert error[0] < 0.9 * error[1]


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
