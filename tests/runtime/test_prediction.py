"""What a prediction knows, and the forms it takes for people and for other libraries."""

import io
import json
import sys
import types

import numpy as np
import pytest
from PIL import Image

from aaff.errors import DataError, MissingExtraError, OptionError, UnknownNameError
from aaff.images import read_ids, read_image
from aaff.labels import CAMVID11
from aaff.runtime import Prediction, Segmenter, display


@pytest.fixture
def prediction(seg, frame):
    return seg(frame)


@pytest.fixture
def unsure(engine, frame):
    engine.confident = False
    return Segmenter(engine)(frame)


def test_shares_and_confidence(prediction):
    assert prediction.shares() == {"dark": 0.75, "bright": 0.25, "never": 0.0}
    assert prediction.pixels.tolist() == [144, 48, 0]
    assert prediction.probability.dtype == np.float32
    assert prediction.probability.max() <= 1
    means = prediction.mean_confidence()
    assert set(means) == {"dark", "bright"}
    assert means["dark"] == pytest.approx((128 + 117 // 2) / 255)


def test_without_confidence_nothing_is_invented(unsure):
    assert unsure.probability is None
    assert unsure.mean_confidence() == {}
    assert [entry["score"] for entry in unsure.to_huggingface()] == [None, None]
    assert all(entry["confidence"] is None for entry in unsure.to_dict()["classes"])


def test_json_lists_present_classes_largest_first(prediction):
    data = json.loads(prediction.to_json())
    assert [(entry["name"], entry["id"], entry["share"]) for entry in data["classes"]] == [
        ("dark", 0, 0.75),
        ("bright", 1, 0.25),
    ]
    assert (data["width"], data["height"], data["model"]) == (16, 12, "threshold")
    assert set(data["speed_ms"]) == {"preprocess", "inference", "postprocess"}
    assert "\n" not in prediction.to_json(indent=None)


def test_saved_forms_read_back(prediction, tmp_path):
    prediction.save(tmp_path / "o.png")
    prediction.save(tmp_path / "o.jpg")
    prediction.save(tmp_path / "m.png", "map")
    prediction.save(tmp_path / "i.png", "index")
    prediction.save(tmp_path / "p.json")
    np.testing.assert_array_equal(read_ids(tmp_path / "i.png"), prediction.class_map)
    np.testing.assert_array_equal(read_image(tmp_path / "i.png"), prediction.color_map())
    np.testing.assert_array_equal(read_image(tmp_path / "m.png"), prediction.labels.colorize(prediction.class_map))
    np.testing.assert_array_equal(read_image(tmp_path / "o.png"), prediction.overlay())
    assert json.loads((tmp_path / "p.json").read_text()) == prediction.to_dict()


@pytest.mark.parametrize(
    ("name", "kind", "error"),
    [
        ("map.jpg", "map", OptionError),
        ("index.jpg", "index", OptionError),
        ("what.xyz", None, OptionError),
        ("x.png", "json", OptionError),
        ("x.png", "overlya", UnknownNameError),
    ],
)
def test_forms_that_a_file_cannot_hold(prediction, tmp_path, name, kind, error):
    with pytest.raises(error):
        prediction.save(tmp_path / name, kind)
    assert not list(tmp_path.iterdir())


def test_huggingface_form(prediction):
    entries = prediction.to_huggingface()
    assert [entry["label"] for entry in entries] == ["dark", "bright"]
    for index, entry in enumerate(entries):
        mask = entry["mask"]
        assert isinstance(mask, Image.Image)
        assert mask.mode == "L"
        assert mask.size == (16, 12)
        np.testing.assert_array_equal(np.asarray(mask) == 255, prediction.class_map == index)
        assert 0 < entry["score"] <= 1


def test_supervision_form(prediction, monkeypatch):
    # supervision 0.31 accepts these very arrays; here stands only what its Detections are given.
    given = types.ModuleType("supervision")
    given.Detections = lambda **fields: fields
    monkeypatch.setitem(sys.modules, "supervision", given)
    fields = prediction.to_supervision()
    assert fields["xyxy"].tolist() == [[0, 0, 11, 11], [12, 0, 15, 11]]
    assert fields["mask"].dtype == bool
    np.testing.assert_array_equal(fields["mask"][1], prediction.class_map == 1)
    assert fields["class_id"].tolist() == [0, 1]
    assert fields["data"]["class_name"].tolist() == ["dark", "bright"]
    assert fields["confidence"].shape == (2,)


def test_supervision_missing_names_the_line_that_installs_it(prediction, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingExtraError, match="install supervision"):
        prediction.to_supervision()


def test_a_mask_of_one_class(prediction):
    np.testing.assert_array_equal(prediction.mask("bright"), prediction.class_map == 1)
    assert not prediction.mask("never").any()
    with pytest.raises(UnknownNameError, match="did you mean 'bright'"):
        prediction.mask("brigth")


def test_an_overlay_has_the_size_of_the_frame_and_paints_what_is_asked_for(prediction, unsure):
    assert prediction.overlay().shape == prediction.image.shape
    only = prediction.overlay(1.0, False, classes=["bright"])
    np.testing.assert_array_equal(only[:, :12], prediction.image[:, :12])
    assert (only[:, 12:] == prediction.labels.colors[1]).all()
    certain = prediction.overlay(1.0, False, conf=1.0)
    np.testing.assert_array_equal(certain, prediction.image)
    with pytest.raises(OptionError, match="confidence"):
        unsure.overlay(conf=0.5)
    with pytest.raises(OptionError, match="conf"):
        prediction.overlay(conf=2)
    assert prediction.legend().ndim == 3


def test_a_frame_larger_than_the_network_keeps_the_map_that_pictures_are_made_from(seg, frame):
    large = seg(frame.repeat(4, axis=0).repeat(4, axis=1))
    assert large.network_map.shape == (12, 16)
    assert large.overlay().shape == (48, 64, 3)
    assert large.side_by_side().shape == (48, 128, 3)
    assert seg(frame).network_map is None


def test_a_notebook_shows_it(prediction):
    picture = Image.open(io.BytesIO(prediction._repr_png_()))
    np.testing.assert_array_equal(np.asarray(picture), prediction.overlay())


def test_without_a_display_show_says_so(prediction, monkeypatch):
    monkeypatch.setattr(display, "has_display", lambda: False)
    with pytest.raises(display.DisplayError):
        prediction.show()
    shown = []
    monkeypatch.setattr(display, "has_display", lambda: True)
    monkeypatch.setattr(display.ImageShow, "show", lambda picture, title: shown.append(picture) or True)
    prediction.show()
    assert shown[0].size == (16, 12)


def test_its_name_tells_what_is_seen(prediction):
    assert repr(prediction) == "Prediction(16x12: dark 75%, bright 25%)"


@pytest.mark.parametrize(
    "change",
    [
        {"class_map": np.full((12, 16), 11, np.uint8)},
        {"class_map": np.zeros((12, 15), np.uint8)},
        {"class_map": np.zeros((12, 16), np.int64)},
        {"confidence": np.zeros((2, 2), np.uint8)},
        {"image": np.zeros((12, 16), np.uint8)},
    ],
)
def test_parts_that_do_not_fit(change):
    parts = {
        "class_map": np.zeros((12, 16), np.uint8),
        "labels": CAMVID11,
        "image": np.zeros((12, 16, 3), np.uint8),
    }
    with pytest.raises(DataError):
        Prediction(**{**parts, **change})
