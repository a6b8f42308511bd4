"""Metrics agree with independent implementations, whatever the labels look like."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn_metrics
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassJaccardIndex

from aaff.errors import DataError
from aaff.evaluation import ConfusionMatrix

CLASSES = 5
truths = hnp.arrays(np.uint8, (6, 9), elements=st.sampled_from([0, 1, 2, 3, 4, 255]))
predictions = hnp.arrays(np.uint8, (6, 9), elements=st.integers(0, CLASSES - 1))


def counted(label, prediction):
    matrix = ConfusionMatrix(CLASSES)
    matrix.update(label, prediction)
    return matrix


@given(truths, predictions)
def test_counts_equal_scikit_learn(label, prediction):
    keep = label != 255
    expected = np.zeros((CLASSES, CLASSES), np.int64)
    if keep.any():
        expected = sklearn_metrics.confusion_matrix(label[keep], prediction[keep], labels=range(CLASSES))
    matrix = counted(label, prediction)
    assert matrix.counts.dtype == np.int64
    np.testing.assert_array_equal(matrix.counts, expected)


@given(truths.filter(lambda t: (t != 255).any()), predictions)
def test_metrics_equal_scikit_learn(label, prediction):
    keep = label != 255
    flat, predicted = label[keep], prediction[keep]
    present = np.unique(flat)
    scores = counted(label, prediction).metrics()
    iou = sklearn_metrics.jaccard_score(flat, predicted, labels=present, average=None, zero_division=0)
    recall = sklearn_metrics.recall_score(flat, predicted, labels=present, average=None, zero_division=0)
    assert [scores.iou[c] for c in present] == pytest.approx(iou.tolist())
    assert [scores.accuracy[c] for c in present] == pytest.approx(recall.tolist())
    assert scores.miou == pytest.approx(iou.mean())
    assert scores.mean_class_accuracy == pytest.approx(recall.mean())
    assert scores.pixel_accuracy == pytest.approx(sklearn_metrics.accuracy_score(flat, predicted))
    absent = set(range(CLASSES)) - set(present.tolist())
    assert all(scores.iou[c] is None and scores.accuracy[c] is None and scores.pixels[c] == 0 for c in absent)


@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn warns of predicted classes that the label lacks
@given(truths.filter(lambda t: (t != 255).any()), predictions)
def test_mean_class_accuracy_is_balanced_accuracy(label, prediction):
    keep = label != 255
    expected = sklearn_metrics.balanced_accuracy_score(label[keep], prediction[keep])
    assert counted(label, prediction).metrics().mean_class_accuracy == pytest.approx(expected)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_metrics_over_frames_equal_torchmetrics(seed):
    rng = np.random.default_rng(seed)
    matrix = ConfusionMatrix(CLASSES)
    options = {"num_classes": CLASSES, "ignore_index": 255}
    oracles = [
        MulticlassConfusionMatrix(**options),
        MulticlassJaccardIndex(**options, average="macro"),
        MulticlassAccuracy(**options, average="macro"),
        MulticlassAccuracy(**options, average="micro"),
    ]
    for _ in range(3):
        label = rng.choice(np.array([0, 1, 2, 3, 4, 255], np.uint8), (20, 30))
        prediction = rng.integers(0, CLASSES, (20, 30), dtype=np.uint8)
        matrix.update(label, prediction)
        for oracle in oracles:
            oracle.update(torch.from_numpy(prediction).long(), torch.from_numpy(label).long())
    counts, miou, class_accuracy, pixel_accuracy = (oracle.compute() for oracle in oracles)
    scores = matrix.metrics()
    np.testing.assert_array_equal(matrix.counts, counts.numpy())
    assert scores.miou == pytest.approx(float(miou), abs=1e-6)
    assert scores.mean_class_accuracy == pytest.approx(float(class_accuracy), abs=1e-6)
    assert scores.pixel_accuracy == pytest.approx(float(pixel_accuracy), abs=1e-6)


@given(st.lists(st.tuples(truths, predictions), max_size=4), st.integers(0, 4))
def test_shards_merge_to_the_whole(frames, cut):
    whole, first, second = (ConfusionMatrix(CLASSES) for _ in range(3))
    for place, (label, prediction) in enumerate(frames):
        whole.update(label, prediction)
        (first if place < cut else second).update(label, prediction)
    np.testing.assert_array_equal(first.merge(second).counts, whole.counts)


def test_an_absent_class_that_is_predicted_counts_as_a_miss_only():
    scores = counted(np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 4, 1, 1]], np.uint8)).metrics()
    assert scores.iou == (0.5, 1.0, None, None, None)
    assert scores.miou == 0.75
    assert scores.per_class("abcde")["e"] == {"iou": None, "accuracy": None, "pixels": 0}


def test_255_classes_fit():
    every = np.arange(255, dtype=np.uint8)[None]
    matrix = ConfusionMatrix(255)
    matrix.update(every, every)
    assert matrix.metrics().miou == 1.0


def test_a_batch_counts_like_its_frames():
    label, prediction = np.zeros((2, 3, 4), np.uint8), np.ones((2, 3, 4), np.uint8)
    assert counted(label, prediction).counts[0, 1] == 24


def test_counts_survive_the_way_through_a_sum_over_ranks():
    matrix = counted(np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8))
    assert ConfusionMatrix(CLASSES, matrix.counts.tolist()).metrics() == matrix.metrics()


@pytest.mark.parametrize(
    ("label", "prediction", "words"),
    [
        (np.zeros((2, 3), np.uint8), np.full((2, 3), 5, np.uint8), "frame x: the prediction has id 5; ids go from 0"),
        (np.full((2, 3), 255, np.uint8), np.full((2, 3), 255, np.uint8), "the prediction has id 255"),
        (np.full((2, 3), 7, np.uint8), np.zeros((2, 3), np.uint8), "the label has id 7"),
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), "the label is 3x2 but the prediction 2x3"),
        (np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.int64), "class maps are uint8"),
    ],
)
def test_impossible_maps_are_refused_and_count_nothing(label, prediction, words):
    matrix = ConfusionMatrix(CLASSES)
    with pytest.raises(DataError, match=words):
        matrix.update(label, prediction, "frame x")
    assert not matrix.counts.any()


def test_no_labelled_pixel_is_an_error_not_a_zero():
    with pytest.raises(DataError, match="no labelled pixel"):
        counted(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8)).metrics()


def test_matrices_of_other_classes_do_not_merge():
    with pytest.raises(DataError, match="5 and 3 classes"):
        ConfusionMatrix(5).merge(ConfusionMatrix(3))


@pytest.mark.parametrize("counts", [[[1.5, 0], [0, 1]], [[1, 0]], [[-1, 0], [0, 1]]])
def test_counts_that_are_no_counts(counts):
    with pytest.raises(DataError, match="whole numbers"):
        ConfusionMatrix(2, counts)
