"""Mix several data sets with the same classes into one, with a repeat factor for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aaff.data.licence import joined
from aaff.data.sample import Dataset
from aaff.errors import DataError, OptionError
from aaff.labels import UInt8Array


def mixed(datasets: Sequence[Dataset], repeat: Sequence[int] = (1,)) -> Dataset:
    """Concatenate the frames of several data sets.

    Args:
        datasets: the splits to mix; name, layout and protocol are those of the first.
        repeat: how often the frames of each are repeated: one number for all, or one each.

    Raises:
        DataError: the classes of the data sets differ.
        OptionError: there is not one number for each data set, or one is below 1.
    """
    first = datasets[0]
    for other in datasets[1:]:
        if other.labels.names != first.labels.names:
            raise DataError(
                f"{other.root} has the classes {', '.join(other.labels.names)}, but {first.root} has "
                f"{', '.join(first.labels.names)}; only data sets with the same classes can be mixed"
            )
    times = list(repeat) * len(datasets) if len(repeat) == 1 else list(repeat)
    if len(times) != len(datasets) or min(times) < 1:
        raise OptionError(
            f"repeat is {list(repeat)}; {len(datasets)} data sets need one number for all or one each, all 1 or more"
        )
    readers = {pair.label: dataset.read_label for dataset in datasets for pair in dataset.pairs}

    def read_label(path: Path) -> UInt8Array:
        return readers[path](path)

    pairs = tuple(pair for dataset, n in zip(datasets, times, strict=True) for _ in range(n) for pair in dataset.pairs)
    licence = joined(dataset.licence for dataset in datasets)
    return replace(first, pairs=pairs, read_label=read_label, licence=licence)
