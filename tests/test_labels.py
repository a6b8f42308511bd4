import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aaff.card import ModelCard
from aaff.errors import DataError, ModelError
from aaff.labels import CAMVID11, CAMVID32, CAMVID_RAW, LABEL_MAPS, ColorEntry, ColorTable, LabelMap
from aaff.preprocess import Size


@pytest.mark.parametrize("labels", LABEL_MAPS.values(), ids=lambda labels: labels.name)
def test_every_id_survives_being_drawn_and_read_again(labels: LabelMap) -> None:
    ids = np.array([[*range(labels.num_classes), 255]], np.uint8)
    again, unknown = labels.color_table().decode(labels.colorize(ids))
    assert unknown == {}
    assert again.tolist() == ids.tolist()
    assert LabelMap.from_dict(labels.to_dict()) == labels


def test_the_merge_covers_the_32_colours_of_camvid() -> None:
    assert (len(CAMVID_RAW), CAMVID32.num_classes, CAMVID11.num_classes) == (32, 31, 11)
    assert {merged for _, _, merged in CAMVID_RAW} == {*CAMVID11.names, "void"}
    merged = {name: into for name, _, into in CAMVID_RAW}
    # What the SegNet release and the paper disagree about, and what is easily mistaken.
    assert merged["TrafficLight"] == "sign symbol"
    assert merged["SUVPickupTruck"] == "car"
    assert merged["MotorcycleScooter"] == "bicyclist"
    assert merged["LaneMkgsDriv"] == "road"
    colors = {name: color for name, color, _ in CAMVID_RAW}
    for name, raw in (("pavement", "Sidewalk"), ("pole", "Column_Pole"), ("sign symbol", "SignSymbol")):
        assert CAMVID11.colors[CAMVID11.names.index(name)] == colors[raw]


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12).map(lambda s: (*s, 3))))
def test_decoding_agrees_with_looking_up_each_pixel(mask: np.ndarray) -> None:
    mask = mask % 3  # few colours, so that some are known
    table = ColorTable((ColorEntry("a", (0, 1, 2), 0), ColorEntry("b", (2, 1, 0), 1), ColorEntry("c", (1, 1, 1), 0)))
    known = {entry.color: entry.id for entry in table.entries}
    ids, unknown = table.decode(mask)
    expected_unknown: dict[tuple[int, ...], int] = {}
    for y, x in np.ndindex(ids.shape):
        color = tuple(int(v) for v in mask[y, x])
        assert ids[y, x] == known.get(color, 255)
        if color not in known:
            expected_unknown[color] = expected_unknown.get(color, 0) + 1
    assert unknown == expected_unknown


def test_the_corners_of_the_colour_cube_are_told_apart() -> None:
    corners = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    table = ColorTable(tuple(ColorEntry(str(c), c, i) for i, c in enumerate(corners[1:])))
    ids, unknown = table.decode(np.array([corners], np.uint8))
    assert ids.tolist() == [[255, *range(7)]]
    assert unknown == {(0, 0, 0): 1}


def test_a_colour_table_travels_to_worker_processes_without_its_lookup() -> None:
    table = CAMVID32.color_table()
    table.decode(np.zeros((1, 1, 3), np.uint8))
    data = pickle.dumps(table)
    assert len(data) < 10_000
    assert pickle.loads(data) == table


def test_a_colour_for_two_classes_is_refused() -> None:
    with pytest.raises(DataError, match="both 'a' and 'b'"):
        ColorTable((ColorEntry("a", (1, 2, 3), 0), ColorEntry("b", (1, 2, 3), 1)))


@pytest.mark.parametrize(
    ("names", "colors", "void", "says"),
    [
        ((), (), (0, 0, 0), "has 0 classes"),
        (("a",), ((1, 1, 1), (2, 2, 2)), (0, 0, 0), "1 names but 2 colours"),
        (("a", "a"), ((1, 1, 1), (2, 2, 2)), (0, 0, 0), "name .a. twice"),
        (("a", "b"), ((1, 1, 1), (1, 1, 1)), (0, 0, 0), "twice"),
        (("a",), ((0, 0, 0),), (0, 0, 0), "twice"),
        (("a",), ((0, 0, 256),), (0, 0, 0), "0 to 255"),
    ],
)
def test_an_impossible_label_map_is_refused(names, colors, void, says) -> None:
    with pytest.raises(DataError, match=says):
        LabelMap("x", names, colors, void)


@given(st.dictionaries(st.sampled_from(["name", "names", "colors"]), st.integers() | st.text() | st.none()))
def test_something_else_than_a_label_map_is_refused(data: dict) -> None:
    with pytest.raises(DataError):
        LabelMap.from_dict(data)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "x"},
        {"format": 10**9},
        {"format": True},
        {"labels": []},
        {"labels": {"name": "x", "names": "abc", "colors": [[1, 1, 1], [2, 2, 2], [3, 3, 3]]}},
        {"size": 3},
        {"size": "999999999x1"},
        {"size": "²x²"},
        {"normalization": {"mean": [1, 2, 3], "std": [0, 1, 1]}},
        {"normalization": {"mean": [1, 2], "std": [1, 1, 1]}},
        {"normalization": {"mean": [float("nan"), 2, 3], "std": [1, 1, 1]}},
        {"network": None},
        {"options": [1]},
        {"score": "good"},
        {"epoch": "many"},
        {"temperature": 0},
        {"temperature": -1.5},
        {"temperature": 1e-300},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"temperature": None},
    ],
)
def test_a_model_card_is_checked_entry_by_entry(change: dict) -> None:
    good = ModelCard("depthwise_aaff", {}, CAMVID11, "camvid11", Size(96, 64)).to_dict()
    assert ModelCard.from_dict(good).labels == CAMVID11
    with pytest.raises(ModelError):
        ModelCard.from_dict(good | change)


def test_a_model_card_cannot_be_made_with_an_impossible_temperature() -> None:
    with pytest.raises(ModelError):
        ModelCard("depthwise_aaff", {}, CAMVID11, "camvid11", Size(96, 64), temperature=0.0)


@pytest.mark.parametrize("data", [None, 5, "text", [], {}])
def test_something_else_than_a_model_card_is_refused(data: object) -> None:
    with pytest.raises(ModelError):
        ModelCard.from_dict(data)
