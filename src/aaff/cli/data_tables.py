"""Tables of splits and classes shared by ``aaff data check`` and ``aaff data stats``, and progress while reading."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from aaff.cli.console import print_table, progress

if TYPE_CHECKING:
    from aaff.data.statistics import OnProgress, SplitStatistics


def print_splits(splits: Mapping[str, SplitStatistics]) -> None:
    """Print one row per split: frames, sizes, ignored pixels, mean and standard deviation of the colours."""
    rows = []
    for split, found in splits.items():
        sizes = ", ".join(f"{size} ({count})" if len(found.sizes) > 1 else str(size) for size, count in _most(found))
        mean, std = (" ".join(f"{v:.1f}" for v in color) for color in (found.color_mean, found.color_std))
        rows.append((split, sizes, found.images, f"{found.ignored_share:.2%}", mean, std))
    print_table(("split", "size", "images", "void", "mean R G B", "std R G B"), rows, text_columns=2)


def _most(found: SplitStatistics) -> list[tuple[object, object]]:
    sizes: list[tuple[object, object]] = [*found.sizes.most_common(3)]
    rest = sum(found.sizes.values()) - sum(count for _, count in found.sizes.most_common(3))
    return [*sizes, ("others", rest)] if rest else sizes


def print_classes(splits: Mapping[str, SplitStatistics]) -> None:
    """Print one row per class (its share of the labelled pixels and images per split), then suggested class weights."""
    from aaff.data.statistics import suggested_weights

    source, weights = suggested_weights(splits)
    columns = ["id", "class", *(f"{split} {what}" for split in splits for what in ("pixels", "images"))]
    shares = [(found.shares, found.presence) for found in splits.values()]
    names = next(iter(splits.values())).labels.names
    rows = []
    for i, name in enumerate(names):
        cells = [cell for pixels, images in shares for cell in (f"{pixels[i]:.2%}", f"{images[i]:.0%}")]
        rows.append((str(i), name, *cells))
    print_table(columns, rows, title="Classes: share of the pixels, share of the images they are in", text_columns=2)
    print_table(
        ("id", "class", *weights),
        [(str(i), name, *(f"{kind[name]:.2f}" for kind in weights.values())) for i, name in enumerate(names)],
        title=f"Class weights that training computes from {source} with --loss.class-weights",
        text_columns=2,
    )


@contextlib.contextmanager
def reading(what: str) -> Iterator[OnProgress]:
    """Show progress while frames are read; yields a function to call with the frames done and the total."""
    with progress(what) as report:
        yield lambda done, total: report(done, total, "")
