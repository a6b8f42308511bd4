"""Print a report as tables in the terminal: the model and the baselines, then every class."""

from __future__ import annotations

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from aaff.evaluation.evaluate import Report


def render(report: Report) -> RenderableType:
    """The scores and their conditions as tables, at most 80 columns wide."""
    subject = report.subject
    sizes = subject.size.split(", ")
    facts = [
        f"{report.protocol} · {report.split} · {report.images} images",
        f"frames {', '.join(sizes[:3])}{', …' if len(sizes) > 3 else ''} · resize: {subject.resize}",
        f"{subject.engine} {subject.precision}",
    ]
    chosen = f"weights selected on {subject.selected_on}" if subject.selected_on else "weights not selected on a split"
    if subject.checkpoint:
        chosen += f" · sha256 {subject.checkpoint[:12]}"
    lines: list[RenderableType] = [Text(" · ".join(facts), style="bold"), Text(chosen, style="dim")]
    lines += [_summary(report), _classes(report)]
    lines += [Text(f"note: {note}") for note in report.notes]
    return Group(*lines)


def print_report(report: Report, console: Console | None = None) -> None:
    """Print ``render``."""
    (console or Console()).print(render(report))


def _summary(report: Report) -> Table:
    table = _table("model", "mean IoU", "pixel accuracy", "mean class accuracy")
    rows = [(report.subject.model, report.metrics, "bold")]
    rows += [(f"{row.name} (of {row.learned_from})", row.metrics, "dim") for row in report.baselines]
    for name, metrics, style in rows:
        table.add_row(Text(name), *(_percent(value) for value in metrics.means().values()), style=style)
    return table


def _classes(report: Report) -> Table:
    table = _table("class", "IoU", "accuracy", "share of pixels")
    metrics = report.metrics
    total = sum(metrics.pixels)
    for name, iou, accuracy, pixels in zip(
        report.labels.names, metrics.iou, metrics.accuracy, metrics.pixels, strict=True
    ):
        table.add_row(Text(name), _percent(iou), _percent(accuracy), _percent(pixels / total, 2))
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _percent(value: float | None, digits: int = 1) -> str:
    return "n/a" if value is None else f"{100 * value:.{digits}f} %"
