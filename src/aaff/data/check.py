"""Check a data set for errors in one pass over its files.

A *finding* is an error to fix before training.  A *warning* is something to be aware of: a recording that occurs in two
splits makes scores on the later one optimistic, but CamVid itself is split that way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from aaff.data.duplicates import Fingerprint, Frame, Leak, Nearest, fingerprint, leaks_between
from aaff.data.layouts import find_layout
from aaff.data.layouts.base import SPLIT_ORDER, Layout, UnknownValuesError
from aaff.data.pairing import Listing
from aaff.data.protocols import DRIVES, drive, drives
from aaff.data.sample import LabelReader
from aaff.data.statistics import FrameStatistics, OnProgress, SplitStatistics, suggested_weights
from aaff.errors import DataError
from aaff.images import read_image
from aaff.labels import RGB, LabelMap, UInt8Array
from aaff.preprocess import Size
from aaff.provenance import usable_cores

KINDS = (
    "unusable split",
    "missing label",
    "missing image",
    "missing frame",
    "unreadable image",
    "unreadable label",
    "size mismatch",
    "unknown values",
    "all void",
    "absent class",
    "identical frames",
    "near-identical frames",
    "same recording",
)
"""Kinds of findings, in the order they are reported; the last one is a warning."""


@dataclass(frozen=True)
class Finding:
    """One problem of a data set.

    Attributes:
        kind: one of ``KINDS``.
        split: the split it is in; for a pair of splits, the later one.
        message: a sentence with the file and, if applicable, values and counts.
        files: the affected files.
        values: for ``"unknown values"``, the pixel count of each unknown id or colour.
    """

    kind: str
    split: str
    message: str
    files: tuple[Path, ...] = ()
    values: Mapping[int | RGB, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        values = [{"value": list(v) if isinstance(v, tuple) else v, "pixels": n} for v, n in self.values.items()]
        plain = {"kind": self.kind, "split": self.split, "message": self.message, "files": [str(f) for f in self.files]}
        return {**plain, "values": values} if values else plain


@dataclass(frozen=True)
class CheckReport:
    """The result of ``check_dataset``.

    Attributes:
        root: folder of the data set.
        layout: the layout it was read in.
        protocol: the protocol it was read with.
        labels: its classes.
        splits: statistics of each split, over the readable frames.
        findings: errors to fix.
        warnings: things to be aware of.
        leaks: frames shared by two splits; these are also among the findings.
        closest: for each pair of splits, their most similar frames.
    """

    root: Path
    layout: str
    protocol: str
    labels: LabelMap
    splits: Mapping[str, SplitStatistics]
    findings: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    leaks: tuple[Leak, ...]
    closest: Mapping[tuple[str, str], Nearest]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form with every finding."""
        source, weights = suggested_weights(self.splits)
        return {
            "root": str(self.root),
            "layout": self.layout,
            "protocol": self.protocol,
            "clean": not self.findings,
            "findings": [finding.to_dict() for finding in self.findings],
            "warnings": [warning.to_dict() for warning in self.warnings],
            "splits": {split: statistics.to_dict() for split, statistics in self.splits.items()},
            "closest_frames": [
                {"splits": list(splits), "bits": pair.distance, "identical": pair.identical}
                | {"files": [str(pair.first.path), str(pair.second.path)]}
                for splits, pair in self.closest.items()
            ],
            "weights": {"from": source, **weights},
        }


def check_dataset(
    root: str | Path,
    *,
    protocol: str | None = None,
    layout: str | None = None,
    threads: int | None = None,
    progress: OnProgress | None = None,
) -> CheckReport:
    """Read all files of all splits and report all problems.

    Args:
        root: folder of the data set.
        protocol: as for ``aaff.data.open_dataset``; with ``"camvid11-drives"``, the splits are the drives.
        layout: one of ``aaff.data.list_layouts``; None detects it.
        threads: number of reading threads; None: one per core.
        progress: called after every frame with the number of frames done and the total.

    Raises:
        AaffError: the folder, its layout or its class table cannot be read, so nothing can be checked.
    """
    root = Path(root)
    found = find_layout(root, layout)
    meaning = found.meaning(root, protocol)
    listings, findings = _listings(found, root)
    if meaning.protocol == DRIVES:
        listings = _by_drive(listings)
    for split, listing in listings.items():
        findings += _pairing_findings(split, listing)
    splits = {split: SplitStatistics(meaning.labels) for split in listings}
    frames: dict[str, list[Frame]] = {split: [] for split in listings}
    void: dict[str, list[Path]] = {split: [] for split in listings}
    tasks = list(_tasks(listings))
    with ThreadPoolExecutor(threads or usable_cores()) as pool:
        inspected = pool.map(lambda task: _inspect(task, meaning.read_label, meaning.labels.num_classes), tasks)
        for done, (task, seen) in enumerate(zip(tasks, inspected, strict=True), 1):
            findings += seen.findings
            if seen.statistics is not None:
                splits[task.split].add(seen.statistics)
                if not seen.statistics.pixels.any():
                    void[task.split].append(task.label or root)
            if seen.fingerprint is not None and task.image is not None:
                frames[task.split].append(Frame(task.split, task.image, seen.fingerprint))
            if progress is not None:
                progress(done, len(tasks))
    for split, statistics in splits.items():
        findings += _label_findings(split, statistics, void[split])
    leaks, closest = leaks_between(frames)
    findings += [_leak_finding(leak) for leak in leaks]
    findings.sort(key=lambda finding: KINDS.index(finding.kind))
    warnings = [] if meaning.protocol == DRIVES else _recording_warnings(listings, meaning.labels)
    return CheckReport(
        root,
        found.name,
        meaning.protocol,
        meaning.labels,
        splits,
        tuple(findings),
        tuple(warnings),
        tuple(leaks),
        closest,
    )


@dataclass(frozen=True)
class _Task:
    split: str
    name: str
    image: Path | None
    label: Path | None


@dataclass
class _Inspection:
    """The result of reading one frame, without its pixels."""

    findings: list[Finding] = field(default_factory=list)
    statistics: FrameStatistics | None = None
    fingerprint: Fingerprint | None = None


def _listings(layout: Layout, root: Path) -> tuple[dict[str, Listing], list[Finding]]:
    listings: dict[str, Listing] = {}
    findings = []
    usable = layout.splits(root)
    for split in usable:
        try:
            listings[split] = layout.listing(root, split)
        except DataError as error:
            findings.append(Finding("unusable split", split, str(error)))
    for split in SPLIT_ORDER:
        half = None if split in usable else layout.missing_half(root, split)
        if half is not None:
            findings.append(Finding("unusable split", split, half))
    if not listings:
        raise DataError("; ".join(f.message for f in findings) or f"{root} has no split with images and labels")
    return listings, findings


def _by_drive(listings: Mapping[str, Listing]) -> dict[str, Listing]:
    """The frames of train + val, regrouped into one listing per drive."""
    chosen = [listing for split, listing in listings.items() if split in ("train", "val")]
    images = {name: path for listing in chosen for name, path in listing.images.items()}
    labels = {name: path for listing in chosen for name, path in listing.labels.items()}

    def of(wanted: str, files: Mapping[str, Path]) -> dict[str, Path]:
        return {name: path for name, path in files.items() if drive(name) == wanted}

    return {
        f"drive-{name}": Listing(f"drive {name}", of(name, images), of(name, labels))
        for name in drives((*images, *labels))
    }


def _tasks(listings: Mapping[str, Listing]) -> Iterator[_Task]:
    for split, listing in listings.items():
        for name in sorted(listing.images.keys() | listing.labels.keys()):
            yield _Task(split, name, listing.images.get(name), listing.labels.get(name))


def _inspect(task: _Task, read_label: LabelReader, num_classes: int) -> _Inspection:
    seen = _Inspection()
    image: UInt8Array | None = None
    label: UInt8Array | None = None

    def report(kind: str, message: str, *files: Path, values: Mapping[int | RGB, int] | None = None) -> None:
        seen.findings.append(Finding(kind, task.split, message, files, values or {}))

    if task.image is not None:
        try:
            image = read_image(task.image)
            seen.fingerprint = fingerprint(image)
        except DataError as error:
            report("unreadable image", str(error), task.image)
    if task.label is not None:
        try:
            label = read_label(task.label)
        except UnknownValuesError as error:
            report("unknown values", str(error), task.label, values=error.values)
        except DataError as error:
            report("unreadable label", str(error), task.label)
    if image is None or label is None or task.image is None or task.label is None:
        return seen
    if image.shape[:2] != label.shape:
        sizes = f"{task.label} is {Size.of(label)}, but its image {task.image} is {Size.of(image)}"
        report("size mismatch", sizes, task.label, task.image)
    else:
        seen.statistics = FrameStatistics.of(image, label, num_classes)
    return seen


def _pairing_findings(split: str, listing: Listing) -> list[Finding]:
    if not listing.images and not listing.labels and not listing.absent:
        return [Finding("unusable split", split, f"{listing.where} is empty")]
    pairs = [
        *(("missing label", listing.images[name], "image", "label") for name in listing.without_label),
        *(("missing image", listing.labels[name], "label", "image") for name in listing.without_image),
    ]
    found = [Finding(kind, split, f"the {has} {path} has no {lacks}", (path,)) for kind, path, has, lacks in pairs]
    for name in listing.absent:
        found.append(Finding("missing frame", split, f"the listed frame {name} has neither image nor label"))
    return found


def _label_findings(split: str, statistics: SplitStatistics, void: list[Path]) -> list[Finding]:
    if statistics.images and len(void) == statistics.images:
        message = f"all {len(void)} labels of {split} are void; is the ground truth withheld?"
        return [Finding("all void", split, message, tuple(void))]
    found = [Finding("all void", split, f"{path} has no labelled pixel", (path,)) for path in void]
    if statistics.images:
        for name, pixels in zip(statistics.labels.names, statistics.pixels, strict=True):
            if not pixels:
                found.append(Finding("absent class", split, f"class {name!r} has no pixel in {split}"))
    return found


def _leak_finding(leak: Leak) -> Finding:
    kind = "identical frames" if leak.identical else "near-identical frames"
    return Finding(kind, leak.second.split, str(leak), (leak.first.path, leak.second.path))


def _recording_warnings(listings: Mapping[str, Listing], labels: LabelMap) -> list[Finding]:
    # Only if the names are known to contain the recording; otherwise "image" of "image_001" would count as one.
    if not labels.name.startswith(("camvid", "cityscapes")):
        return []
    counts = {
        split: Counter(n.partition("_")[0] for n in listing.images if "_" in n) for split, listing in listings.items()
    }
    return [
        Finding(
            "same recording",
            second,
            f"recording {name} is in {first} ({counts[first][name]} frames) and in {second} ({counts[second][name]}): "
            f"a score on {second} says less about unseen streets",
        )
        for first, second in combinations(counts, 2)
        for name in sorted(counts[first].keys() & counts[second].keys())
    ]
