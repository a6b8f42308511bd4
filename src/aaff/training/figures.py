"""Pictures of a run: its curves, and fixed validation frames as the network sees them now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aaff.files import write_text
from aaff.images import write_image
from aaff.labels import LabelMap, UInt8Array
from aaff.preprocess import Size, resize_image, resize_label

_PANELS = (("loss", "training loss"), ("miou", "mean IoU, {split}"), ("pixel_accuracy", "pixel accuracy, {split}"))
_PANEL = Size(320, 220)
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 30, 36
_WIDEST = 480


def draw_curves(path: Path, history: Sequence[dict[str, Any]], split: str = "val") -> None:
    """Loss, mean IoU and pixel accuracy by epoch (the paper's Fig. 4), as SVG.

    Written by hand, since a plotting library takes longer for it than a short epoch.

    Args:
        path: of the ``.svg`` file.
        history: one row an epoch, with ``epoch``, ``loss`` and, where the epoch was scored, the scores.
        split: name of the scored split.
    """
    shown = [(key, title) for key, title in _PANELS if any(key in row for row in history)]
    width, height = _PANEL.width * len(shown), _PANEL.height
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, (key, title) in enumerate(shown):
        points = [(float(row["epoch"]), float(row[key])) for row in history if key in row]
        lines += [f'<g transform="translate({place * _PANEL.width} 0)">', *_panel(points, title.format(split=split))]
        lines.append("</g>")
    write_text(path, "\n".join([*lines, "</svg>", ""]))


def _panel(points: Sequence[tuple[float, float]], title: str) -> list[str]:
    """One curve with its axes."""
    inner_width, inner_height = _PANEL.width - _LEFT - _RIGHT, _PANEL.height - _TOP - _BOTTOM
    across = _ticks(0, max(x for x, _ in points), whole=True)
    up = _ticks(min(y for _, y in points), max(y for _, y in points))

    def at(x: float, y: float) -> tuple[float, float]:
        along = (x - across[0]) / (across[-1] - across[0])
        above = (y - up[0]) / (up[-1] - up[0])
        return round(_LEFT + along * inner_width, 1), round(_TOP + (1 - above) * inner_height, 1)

    lines = [f'<text x="{_LEFT}" y="{_TOP - 12}" font-size="13">{title}</text>']
    for y in up:
        _, row = at(across[0], y)
        lines.append(f'<path d="M{_LEFT} {row}h{inner_width}" stroke="#ddd"/>')
        lines.append(f'<text x="{_LEFT - 6}" y="{row + 4}" text-anchor="end">{y:.4g}</text>')
    for x in across:
        column, row = at(x, up[0])
        lines.append(f'<text x="{column}" y="{row + 16}" text-anchor="middle">{x:.4g}</text>')
    middle = _LEFT + inner_width / 2
    lines.append(f'<text x="{middle}" y="{_PANEL.height - 6}" text-anchor="middle">epoch</text>')
    placed = [at(x, y) for x, y in points]
    trace = " ".join(f"{x},{y}" for x, y in placed)
    lines.append(f'<polyline points="{trace}" fill="none" stroke="#1b6ca8" stroke-width="1.5"/>')
    if len(placed) < 30:
        lines += [f'<circle cx="{x}" cy="{y}" r="2.2" fill="#1b6ca8"/>' for x, y in placed]
    return lines


def _ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Round numbers from at or below ``low`` to at or above ``high``, a handful and at least two.

    >>> _ticks(0.12, 0.61)
    [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    raw = max((high - low) / 4, 1.0 if whole else 1e-9 + abs(high) * 1e-6)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, max(last, first + 1) + 1)]


def draw_frames(path: Path, rows: Sequence[tuple[UInt8Array, UInt8Array, UInt8Array]], labels: LabelMap) -> None:
    """One row a frame: the frame [H, W, 3], its truth and the network's answer [H, W], side by side."""
    height, width = rows[0][1].shape
    size = Size(min(width, _WIDEST), round(height * min(1, _WIDEST / width)))  # of all, since they stand in rows
    write_image(
        path,
        np.vstack(
            [
                np.hstack(
                    [resize_image(image, size), *(labels.colorize(resize_label(ids, size)) for ids in (truth, answer))]
                )
                for image, truth, answer in rows
            ]
        ),
    )
