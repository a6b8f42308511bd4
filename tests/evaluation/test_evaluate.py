"""Reports: what they carry, shards, baselines, tables."""

import json

import numpy as np
import pytest
from rich.console import Console

from aaff.data.sample import Dataset, Pair
from aaff.errors import DataError
from aaff.evaluation import (
    ConfusionMatrix,
    Subject,
    count,
    evaluate,
    learn_priors,
    report,
    score_baselines,
    training_split,
)
from aaff.evaluation.table import print_report
from aaff.images import read_ids, write_image
from aaff.labels import LabelMap
from aaff.preprocess import Size

LABELS = LabelMap("three", ("low", "high", "never"), ((10, 10, 10), (200, 200, 200), (9, 9, 90)))
SUBJECT = Subject("threshold", "torch", "fp32", "8x6", "logits", checkpoint="ab" * 32, selected_on="val")


def split_of(folder, split, frames):
    """A split whose labels say where its grey frames are bright; void in the first column."""
    pairs = []
    for name, bright in frames.items():
        pair = Pair(name, folder / split / f"{name}.png", folder / f"{split}annot" / f"{name}.png")
        write_image(pair.image, np.repeat(np.where(bright, 220, 30).astype(np.uint8)[:, :, None], 3, 2))
        label = bright.astype(np.uint8)
        label[:, 0] = 255
        write_image(pair.label, label)
        pairs.append(pair)
    return Dataset(folder, "segnet", "camvid11", split, LABELS, tuple(pairs), read_ids)


@pytest.fixture
def val(tmp_path):
    rng = np.random.default_rng(1)
    return split_of(tmp_path, "val", {f"f{i}": rng.random((6, 8)) < 0.3 for i in range(5)})


@pytest.fixture
def train(tmp_path):
    top = np.zeros((6, 8), bool)
    top[:2] = True
    return split_of(tmp_path, "train", {"a": top, "b": top, "c": ~top})


def threshold(image):
    return (image[..., 0] > 128).astype(np.uint8)


def test_a_perfect_answer_scores_one_and_the_report_carries_all(val):
    seen = []
    result = evaluate(threshold, val, SUBJECT, progress=lambda done, total: seen.append((done, total)))
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["miou"] == data["pixel_accuracy"] == data["mean_class_accuracy"] == 1.0
    assert {k: data[k] for k in ("protocol", "split", "images", "size", "resize", "model", "engine", "precision")} == {
        "protocol": "camvid11",
        "split": "val",
        "images": 5,
        "size": "8x6",
        "resize": "logits",
        "model": "threshold",
        "engine": "torch",
        "precision": "fp32",
    }
    assert data["per_class"]["low"]["pixels"] + data["per_class"]["high"]["pixels"] == 5 * 6 * 7
    assert data["per_class"]["never"] == {"iou": None, "accuracy": None, "pixels": 0}
    assert data["absent_classes"] == ["never"]
    assert any("never" in note for note in data["notes"])
    assert (data["checkpoint"], data["selected_on"]) == ("ab" * 32, "val")
    assert data["provenance"]["versions"]["numpy"] == np.__version__
    assert data["provenance"]["date"].endswith("+00:00")
    assert np.sum(data["confusion"]["counts"]) == 5 * 6 * 7
    assert seen == [(i, 5) for i in range(1, 6)]


def test_shards_of_any_shape_give_the_score_of_the_whole(val):
    def guess(image):
        return (image[..., 0] > 128).astype(np.uint8) * (np.arange(8) % 2).astype(np.uint8)

    whole = evaluate(guess, val, SUBJECT)
    shards = [count(guess, val, indices=range(rank, len(val), 3)) for rank in range(3)]
    merged = ConfusionMatrix(LABELS.num_classes)
    for shard in shards:
        merged.merge(shard)
    assert report(merged, val, SUBJECT).metrics == whole.metrics
    assert whole.metrics.miou < 1


def test_a_prediction_of_another_size_names_the_frame(val):
    with pytest.raises(DataError, match="frame f0"):
        evaluate(lambda image: np.zeros((3, 4), np.uint8), val, SUBJECT)


def test_an_empty_split_has_no_score(tmp_path):
    with pytest.raises(DataError, match="no frame to evaluate"):
        evaluate(threshold, split_of(tmp_path, "val", {}), SUBJECT)


def test_baselines_by_hand(train, tmp_path):
    priors = learn_priors(train)
    expected = np.zeros((6, 8), np.uint8)
    expected[:2] = 1  # two of the three training labels say so
    assert priors.majority == 0
    np.testing.assert_array_equal(priors.position[:, 1:], expected[:, 1:])
    assert (priors.position[:, 0] == 0).all(), "a column that is void everywhere takes the majority class"

    only_top = split_of(tmp_path, "val", {"v": expected.astype(bool)})
    majority, position = score_baselines(priors, only_top)
    assert (majority.name, position.name, position.learned_from) == ("majority class", "position prior", "train")
    assert majority.metrics.pixel_accuracy == pytest.approx(4 / 6)
    assert majority.metrics.miou == pytest.approx((4 / 6 + 0) / 2)
    assert position.metrics.miou == 1.0


def test_the_position_prior_follows_labels_of_other_sizes(train, tmp_path):
    priors = learn_priors(train)
    large = np.zeros((12, 16), bool)
    large[:4] = True
    np.testing.assert_array_equal(priors.position_map(Size(16, 12))[:, 2:], large[:, 2:])
    assert score_baselines(priors, split_of(tmp_path, "val", {"v": large}))[1].metrics.iou[1] > 0.9
    mixed = split_of(tmp_path, "train", {"small": large[::2, ::2], "large": large, "again": large})
    np.testing.assert_array_equal(learn_priors(mixed).position_map(Size(16, 12))[:, 2:], large[:, 2:])


def test_baselines_need_a_labelled_pixel(tmp_path):
    with pytest.raises(DataError, match="no labelled pixel"):
        learn_priors(split_of(tmp_path, "train", {}))


def test_the_split_a_fold_learns_from():
    assert training_split("drive-0016E5") == "train-without-0016E5"
    assert training_split("test") == "train"


def test_the_table_shows_model_baselines_and_absent_classes(val, train):
    baselines = score_baselines(learn_priors(train), val)
    result = evaluate(threshold, val, SUBJECT, baselines=baselines)
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as capture:
        print_report(result, console)
    text = capture.get()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    for part in ("camvid11 · val · 5 images", "resize: logits", "threshold", "100.0 %", "majority class (of train)"):
        assert part in text
    assert "position prior (of train)" in text
    assert "n/a" in text
    assert "note: class has no labelled pixel in 'val'" in text
