import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aaff.data import CachedDataset, class_frequencies, open_dataset, split_statistics, write_dataset
from aaff.data.sample import Dataset, Sample
from aaff.data.statistics import (
    WEIGHTINGS,
    FrameStatistics,
    SplitStatistics,
    count_classes,
    suggested_weights,
)
from aaff.errors import DataError
from aaff.labels import CAMVID11


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Five frames of two sizes; class 10 never occurs."""
    root = tmp_path_factory.mktemp("statistics")
    rng = np.random.default_rng(0)
    samples = []
    for i in range(5):
        size = (12, 16) if i < 4 else (24, 16)
        ids = rng.integers(0, 12, size)
        label = np.where(ids == 11, 255, np.where(ids == 10, i, ids)).astype(np.uint8)
        samples.append(Sample(f"f_{i}", rng.integers(0, 256, (*size, 3)).astype(np.uint8), label))
    write_dataset("segnet", root, "train", samples, CAMVID11)
    return open_dataset(root, "train")


def test_statistics_agree_with_counting_all_pixels_at_once(dataset: Dataset) -> None:
    found = split_statistics(dataset, threads=2)
    samples = list(dataset)
    pixels = np.concatenate([s.label.ravel() for s in samples])
    colors = np.concatenate([s.image.reshape(-1, 3) for s in samples])
    counted = pixels[pixels != 255]
    assert found.pixels.tolist() == [int((pixels == i).sum()) for i in range(11)]
    assert found.shares == pytest.approx([(counted == i).mean() for i in range(11)])
    assert found.presence == pytest.approx([np.mean([(s.label == i).any() for s in samples]) for i in range(11)])
    assert found.ignored_share == pytest.approx((pixels == 255).mean())
    assert found.color_mean == pytest.approx(colors.mean(axis=0))
    assert found.color_std == pytest.approx(colors.std(axis=0))
    assert {str(size): n for size, n in found.sizes.items()} == {"16x12": 4, "16x24": 1}
    assert class_frequencies(dataset) == pytest.approx(found.shares)


def test_several_splits_count_together_as_one(dataset: Dataset) -> None:
    whole = split_statistics(dataset)
    parts = [SplitStatistics(CAMVID11), SplitStatistics(CAMVID11)]
    for i, sample in enumerate(dataset):
        parts[i % 2].add(FrameStatistics.of(sample.image, sample.label, 11))
    merged = SplitStatistics.merged(CAMVID11, parts)
    plain = merged.to_dict()
    assert plain.pop("rgb_mean") == pytest.approx(whole.color_mean)
    assert plain.pop("rgb_std") == pytest.approx(whole.color_std)
    assert plain == {key: value for key, value in whole.to_dict().items() if not key.startswith("rgb_")}
    assert merged.pixels_where_present.tolist() == whole.pixels_where_present.tolist()
    sources = [{"val": parts[0], "train": whole}, {"a": whole}, {"a": parts[0], "b": parts[1]}]
    weights = [suggested_weights(splits) for splits in sources]
    assert [source for source, _ in weights] == ["train", "a", "all splits"]
    assert weights[0][1] == weights[1][1] == weights[2][1]


@given(hnp.arrays(np.uint8, (5, 7), elements=st.sampled_from([0, 1, 2, 255])))
def test_every_pixel_is_counted_once(label: np.ndarray) -> None:
    pixels, ignored = count_classes(label, 3)
    assert pixels.sum() + ignored == label.size
    assert pixels.dtype == np.int64


def test_weights_follow_their_formulas(dataset: Dataset) -> None:
    found = split_statistics(dataset)
    _, weights = suggested_weights({"train": found})
    assert set(weights) == set(WEIGHTINGS)
    logs = [1 / math.log(1.10 + p) for p in found.shares]
    assert list(weights["enet-log"].values()) == pytest.approx(logs, abs=1e-4)
    frequencies = {}
    for i in range(10):
        frames = [s.label for s in dataset if (s.label == i).any()]
        frequencies[i] = sum((f == i).sum() for f in frames) / sum((f != 255).sum() for f in frames)
    median = np.median(list(frequencies.values()))
    balanced = [*(median / f for f in frequencies.values()), 1]
    assert list(weights["median-frequency"].values()) == pytest.approx(balanced, abs=1e-4)


@pytest.mark.parametrize("formula", WEIGHTINGS)
def test_what_is_suggested_is_what_training_uses(dataset: Dataset, formula: str) -> None:
    from aaff.training.objective import class_weights
    from aaff.training.preparation import class_counts

    _, suggested = suggested_weights({"train": split_statistics(dataset)})
    used = class_weights(formula, class_counts(dataset))
    assert list(suggested[formula].values()) == pytest.approx(used.tolist(), abs=1e-4)


def test_labels_that_are_all_void_have_no_frequencies(tmp_path: Path) -> None:
    void = Sample("a", np.zeros((2, 2, 3), np.uint8), np.full((2, 2), 255, np.uint8))
    write_dataset("segnet", tmp_path, "train", [void], CAMVID11)
    with pytest.raises(DataError, match="all labels are void"):
        class_frequencies(open_dataset(tmp_path, "train"))


@pytest.mark.parametrize("max_bytes", [None, 0, 2000])
def test_a_cached_data_set_gives_the_same_samples(dataset: Dataset, max_bytes: int | None) -> None:
    cached = CachedDataset(dataset, max_bytes)
    assert cached.kept == {None: 5, 0: 0, 2000: 2}[max_bytes]  # a frame of 16×12 takes 768 bytes
    assert len(cached) == len(dataset)
    assert (cached.split, cached.protocol, cached.labels, cached.pairs) == (
        "train",
        "camvid11",
        CAMVID11,
        dataset.pairs,
    )
    for copy in (cached, pickle.loads(pickle.dumps(cached))):
        for i, (a, b) in enumerate(zip(copy, dataset, strict=True)):
            assert a.name == b.name
            assert np.array_equal(a.image, b.image)
            assert np.array_equal(a.label, b.label)
            assert np.array_equal(copy.image(i), b.image)
            assert np.array_equal(copy.label(i), b.label)
    assert cached[-1].name == "f_4"
    with pytest.raises(IndexError):
        cached[5]
    assert class_frequencies(cached) == pytest.approx(class_frequencies(dataset))


def test_kept_frames_outlive_their_files_and_cannot_be_changed(tmp_path: Path) -> None:
    sample = Sample("a", np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8))
    write_dataset("segnet", tmp_path, "train", [sample], CAMVID11)
    cached = CachedDataset(open_dataset(tmp_path, "train"))
    cached.pairs[0].image.unlink()
    assert cached[0].image.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        cached[0].image[:] = 1


def test_a_frame_that_cannot_be_read_stops_the_cache(tmp_path: Path) -> None:
    sample = Sample("a", np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8))
    write_dataset("segnet", tmp_path, "train", [sample], CAMVID11)
    dataset = open_dataset(tmp_path, "train")
    dataset.pairs[0].image.write_text("no image")
    with pytest.raises(DataError, match=r"train/a\.png is not an image"):
        CachedDataset(dataset)
