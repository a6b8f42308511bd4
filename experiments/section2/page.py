"""The page "section II, measured": the paper's sentences beside the numbers, from result files alone."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aaff.files import read_json, write_text
from experiments.runner.planned import PlannedRun
from experiments.runner.results import RunResult, read_results
from experiments.section2.claims import (
    NUMBERS,
    PAPER,
    Claim,
    Evidence,
    edge_accuracy,
    inner_accuracy,
    judge,
    thin_iou,
)
from experiments.section2.drive_out import DRIVE, HELD_OUT
from experiments.section2.plan import LIMIT, NOISE, read_costs

BENCH, SIZE = "bench_networks.json", "480x360"
"""What ``aaff bench`` wrote about all networks in one run, beside the results; and the size that counts."""

WAITING = "not run yet"


def write_page(page: Path, results: Path, runs: Sequence[PlannedRun]) -> None:
    """Write the page from the result files.

    Args:
        page: Markdown file.
        results: folder of the results; a benchmark of all networks lies beside it.
        runs: the plan; what has no result stands there as not run yet.

    Raises:
        AaffError: a file is damaged.
    """
    finished = read_results(results)[1] if (results / "plan.json").is_file() else []
    costs = read_costs(results)
    bench = results.parent / BENCH
    rows = [row for row in read_json(bench)["rows"] if row["size"] == SIZE] if bench.is_file() else []
    evidence = Evidence(finished, fastest(rows), {r["network"]: r["parameters"] for r in rows if r.get("parameters")})
    write_text(page, render(evidence, costs, runs, finished))


def fastest(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """End-to-end milliseconds by network, the faster of fp32 and int8, of the rows of ``aaff bench``."""
    found: dict[str, float] = {}
    for row in rows:
        if row.get("precision") in ("fp32", "int8") and isinstance(row.get("frame_to_map"), dict):
            name, taken = row["network"], float(row["frame_to_map"]["median_ms"])
            found[name] = min(taken, found.get(name, taken))
    return found


def render(evidence: Evidence, costs: dict[str, Any], runs: Sequence[PlannedRun], finished: Sequence[RunResult]) -> str:
    """The page as Markdown."""
    done = sum(any(r.name == run.variant.name and r.seed == run.seed for r in finished) for run in runs)
    return f"""# Section II, measured

The paper's section II makes claims about earlier networks. Here, each network is trained with the same short recipe and
measured in the same way. [The rule](rule-section2.md), committed before the first run, says which number decides each
claim. **{done} of {len(runs)} runs are done.** `python -m experiments.section2 --page-only` generates this page from
`results/section2`.

## The claims

{_claims(judge(evidence))}

Each comparison uses one seed per network. A difference counts if it exceeds 2√2 standard deviations over seeds,
measured on `{NOISE[0]}` and `{NOISE[1]}` with three seeds each: it is then larger than the variation between
seeds. It says nothing about longer training, other recipes or other data, and "undecided" does not mean "equal". For
SegNet, U-Net and FCN, accuracy is that of the narrowed network (see its width below), latency that of full width.

{_noise(evidence)}

## The networks

{_networks(evidence, costs, runs)}

All networks are trained from scratch on 266 frames of CamVid (train without drive {DRIVE}) for 396 steps with a batch
of 8, on one core. Scores are in percent, in fp32, with native logits resized to the labels. Val and the drive have 101
frames each.

- *Width*: the channel multiplier that keeps a training step under {LIMIT:g} steps of `depthwise_aaff`; *step*: the cost
  of a step in steps of `depthwise_aaff`.
- *Edge*: pixel accuracy on val less than 4 pixels from a class border; *inner*: 8 pixels or more from any border;
  *detail loss*: inner minus edge.
- *Thin*: mean IoU on val of pole, sign symbol, pedestrian and bicyclist.
- *Field*: side of the centred window that holds 95 % of the absolute gradient of the output at the centre, in percent
  of the frame's side; *reach*: percent of the pixels with a nonzero gradient.

All confusion matrices, including those of single frames, are in `results/section2/runs`.

## Run it

```sh
python -m experiments.section2 --data camvid --status          # what is done, what is left
python -m experiments.section2 --data camvid --minutes 60      # run the next ones; repeat it to resume
python -m experiments.section2 --page-only                     # this page
```
"""


def _claims(claims: Sequence[Claim]) -> str:
    rows = [(c.said, f"**{c.verdict}**", c.decides, c.found) for c in claims]
    return _table(("claim", "verdict", "deciding number", "result"), rows, 4)


def _noise(evidence: Evidence) -> str:
    found = {what: evidence.noise(what) for what in NUMBERS}
    if any(value is None for value in found.values()):
        return "The noise is not known yet: the further seeds have not run."
    told = ", ".join(f"{what} {100 * value:.1f}" for what, value in found.items() if value is not None)
    spans = []
    for name in NOISE:
        values = [100 * run.scores["val"]["pixel_accuracy"] for run in evidence.runs if run.name == name]
        spans.append(f"`{name}` {min(values):.1f} to {max(values):.1f}")
    return textwrap.fill(
        f"A difference must exceed, in points: {told}. Range of pixel accuracy on val over the seeds: "
        f"{'; '.join(spans)}.",
        120,
    )


def _networks(evidence: Evidence, costs: dict[str, Any], runs: Sequence[PlannedRun]) -> str:
    columns = (
        *("network", "seed", "width", "step", "mean IoU val", "pixel acc. val", "mean IoU drive", "pixel acc. drive"),
        *("edge", "inner", "detail loss", "thin", "field", "reach", "frames/s"),
    )
    rows = []
    for run in runs:
        name, step = run.variant.name, costs["networks"][run.variant.name]
        result = next((r for r in evidence.runs if r.name == name and r.seed == run.seed), None)
        fps = evidence.fps(name)
        head = (f"`{name}`", str(run.seed), f"{step['width']:g}", f"{step['ratio']:.2f}")
        cells = _scores(result) if result is not None else (WAITING, *[""] * 9)
        rows.append((*head, *cells, "" if fps is None else f"{fps:.1f}"))
    note = (
        ""
        if any(evidence.fps(name) for name in PAPER)
        else (f"\nFrames/s need `results/{BENCH}`: run `aaff bench` with all networks at {SIZE} in one run.")
    )
    return _table(columns, rows, 1) + note


def _scores(result: RunResult) -> tuple[str, ...]:
    val, drive = result.scores["val"], result.scores[HELD_OUT]
    thin, seen = thin_iou(val), val["receptive_field"]
    values = (
        *(score[key] for score in (val, drive) for key in ("miou", "pixel_accuracy")),
        *(edge_accuracy(val), inner_accuracy(val), inner_accuracy(val) - edge_accuracy(val), thin),
        *(seen["window95"], seen["reach"]),
    )
    return tuple("n/a" if value is None else f"{100 * value:.1f}" for value in values)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int) -> str:
    rules = [":--" if i < text_columns else "--:" for i in range(len(columns))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, rules, *rows))
