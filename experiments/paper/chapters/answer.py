"""The sentences at the top, and the chapter that shows how the rule comes to them."""

from __future__ import annotations

from experiments.paper.analysis import (
    TITLES,
    answer,
    conditions_by_arithmetic,
    noise,
    seen,
    unfinished,
)
from experiments.paper.blocks import Block, Folded, Heading, Note, Prose, Table, figure
from experiments.paper.figures import differences
from experiments.paper.groups import GROUPS
from experiments.paper.results import Results
from experiments.paper.rule import MARGIN, Answer, Comparison, depthwise_headline, points, speed_gain
from experiments.paper.speed import main_setting, speed_rows
from experiments.runner.archive import LATER

RULE_PAGE = "docs/experiment/rule-2.md"
"""The rule, in the project's repository."""

CHANGES_PAGE = "docs/experiment/changes.md"
"""What changed since the last report, and why."""


def questions(results: Results) -> dict[str, str]:
    """Where each question is asked, by group of runs; they are never pooled.

    Drives have a second recipe, which is reported once one of its runs is finished.
    """
    if not results.of("long-drives"):
        return {"seeds": "on CamVid val", "drives": "on an unseen drive"}
    short, long = (next((row["epochs"] for row in results.planned(group)), 0) for group in ("drives", "long-drives"))
    return {
        "seeds": "on CamVid val",
        "drives": f"on an unseen drive after {short} epochs",
        "long-drives": f"on an unseen drive after {long} epochs",
    }


def lead(results: Results) -> list[str]:
    """The answer: the block on val, the block on unseen drives, the depthwise convolutions, what remains uncertain."""
    return [
        *(_block_sentence(results, group, where) for group, where in questions(results).items()),
        _depthwise_sentence(results),
        _uncertainty(results),
    ]


def _block_sentence(results: Results, group: str, where: str) -> str:
    found = answer(results, group)
    told = f"**{found.headline(where)}**"
    rows = [
        f"against {other} {c.told}"
        for other, c in (
            ("DepthwiseBiSeNet", found.design),
            ("BiSeNet", found.claim),
            ("DepthwiseAAFF without gates", found.attention),
            ("DepthwiseBiSeNet widened to the same cost", found.price),
        )
        if c.differences
    ]
    if rows:
        count = max(len(c.differences) for c in (found.design, found.claim, found.attention, found.price))
        pairs = group.removeprefix("long-")
        runs = f"{count} {pairs if count > 1 else pairs.removesuffix('s')}"
        start = "So far, the" if found.missing else "The"
        scale = f"in points of mean IoU ({runs}, 95 % interval)"
        told += f" {start} differences of DepthwiseAAFF {scale} are: {'; '.join(rows)}."
    unmeasured = [
        what
        for what, c in (
            ("DepthwiseAAFF without gates", found.attention),
            ("DepthwiseBiSeNet widened to the same cost", found.price),
        )
        if not c.differences and not c.missing
    ]
    return told + (f" Not measured there: {' and '.join(unmeasured)}." if rows and unmeasured else "")


def _depthwise_sentence(results: Results) -> str:
    asked = ((answer(results, group).depthwise, where) for group, where in questions(results).items())
    told = " ".join(f"**{depthwise_headline(cost, where)}**" for cost, where in asked if cost.planned)
    gains = [*_saved(results), *_faster(results)]
    listed = " and ".join([", ".join(gains[:-1]), gains[-1]] if len(gains) > 1 else gains)
    return told + (f" Depthwise convolutions save {listed}." if gains else "")


def _saved(results: Results) -> list[str]:
    plain, light = (next(iter(results.of("seeds", n)), None) for n in ("bisenet", "depthwise_bisenet"))
    if plain is None or light is None:
        return []
    saved = [(1 - getattr(light, key) / getattr(plain, key)) for key in ("parameters", "macs")]
    return [f"{100 * saved[0]:.0f} % of the parameters", f"{100 * saved[1]:.0f} % of the operations"]


def _faster(results: Results) -> list[str]:
    rows = speed_rows(results.speed)
    setting = main_setting(rows)
    times = {row.network: row.median_ms for row in rows if row.setting == setting}
    if setting is None or not {"bisenet", "depthwise_bisenet"} <= times.keys():
        return []
    ratio, counts = speed_gain(times["bisenet"], times["depthwise_bisenet"])
    speed = f"{' '.join(setting[:2])} at {setting[2]}: {ratio:.2f} times the speed"
    if not counts:
        return [f"no end-to-end latency ({speed})"]
    return [f"{100 * (1 - 1 / ratio):.0f} % of the end-to-end latency ({speed})"]


def _uncertainty(results: Results) -> str:
    missing = unfinished(results)
    done = len(results.plan["runs"]) - len(missing)
    parts = []
    if missing:
        parts.append(f"{done} of {len(results.plan['runs'])} runs are finished")
    hidden = []
    for group, where in questions(results).items():
        found = answer(results, group)
        hidden += [
            f"{100 * c.hidden:.1f} points {what} {where}"
            for c, what in (
                (found.attention, "gained by the gates"),
                (found.price, "gained over a DepthwiseBiSeNet of the same cost"),
            )
            if c.hidden is not None
        ]
    if hidden:
        parts.append(f"the undecided comparisons do not exclude up to {' and '.join(hidden)}")
    deviation = noise(results)
    if deviation is not None:
        mixed = ", of which some were trained in other precision" if len(conditions_by_arithmetic(results)) > 1 else ""
        parts.append(f"val mean IoU varies by {100 * deviation:.1f} points over the seeds (standard deviation){mixed}")
    recipes = [
        f"{len({run.condition for run in runs if run.name == 'depthwise_bisenet'})} {group.removeprefix('long-')} of "
        f"{runs[0].recipe['epochs']} epochs"
        for group in questions(results)
        if (runs := results.of(group))
    ]
    if recipes:
        parts.append(f"all results come from {' and '.join(recipes)}, one recipe each")
    if not has_test(results):
        parts.append("the test split was not scored")
    return f"**What remains uncertain:** {'; '.join(parts)}."


def has_test(results: Results) -> bool:
    """Whether any finished run was scored on the test split."""
    return any(LATER in run.scores for run in results.runs)


def state_notes(results: Results) -> list[Block]:
    """What is missing, said before anything is shown."""
    notes: list[Block] = []
    if results.plan["settings"].get("miniature"):
        notes.append(
            Note(
                "**This is the experiment in miniature:** synthetic streets, small frames, minutes of training. It "
                "shows that everything works and what the report looks like; its scores say nothing about the networks."
            )
        )
    missing = unfinished(results)
    if missing:
        groups = []
        for group in GROUPS:
            planned = results.planned(group)
            left = [row for row in missing if row["group"] == group]
            if left:
                groups.append(f"{len(left)} of {len(planned)} in {group}")
        failed = [row for row in missing if row["stage"] == "failed"]
        told = "".join(f" `{row['run']}` failed: {row['failure']}" for row in failed)
        notes.append(
            Note(
                f"**This report is partial.** Unfinished runs: {'; '.join(groups)}. "
                f"All figures come from finished runs.{told}"
            )
        )
    if not has_test(results):
        notes.append(
            Note(
                "**No test scores.** The test split is absent or was not requested; all scores below are on train, val "
                "and held-out drives. Once the split is available, `python -m experiments.paper --data DIR "
                "--report-only --test-split` adds it; in a clone, which has only the published weights, also give "
                "`--publish .`."
            )
        )
    else:
        tested = [run for run in results.of("seeds") if LATER in run.scores]
        if len(tested) < len(results.of("seeds")):
            seeds = sorted({run.seed for run in tested})
            notes.append(
                Note(
                    f"**Test scores are of {len(tested)} of {len(results.of('seeds'))} runs** (seed "
                    f"{', '.join(map(str, seeds))}): the other checkpoints no longer existed when the test split "
                    "became available. The scores are those of the published weights, rounded to half precision."
                )
            )
    return notes


def chapter(results: Results) -> list[Block]:
    """How the rule comes to the answer."""
    blocks: list[Block] = [
        Heading("The answer, by the rule"),
        Prose(
            f"The rule is in `{RULE_PAGE}`; `{CHANGES_PAGE}` says what changed since the last report, and why. Each "
            "difference compares two networks under the same conditions. Val and unseen drives are two questions with "
            "two recipes, and are never pooled. A difference is called higher or lower if its 95 % interval (Student's "
            "t) lies entirely on one side of 0. Otherwise it is undecided, which shows neither a gain nor its absence. "
            f"Equivalence needs an interval within ±{100 * MARGIN:.1f} point, and pairs that were not known when that "
            "margin was stated. The primary score is the mean IoU of the last epoch's averaged weights."
            + _trained_with(results)
        ),
    ]
    for group, where in questions(results).items():
        found = answer(results, group)
        rows = named(found)
        blocks.append(Heading(f"{where[0].upper()}{where[1:]}", 3))
        shown = figure(
            f"differences-{group}",
            differences(rows, where),
            f"Paired differences in mean IoU {where}. Dots: pairs; diamonds: mean and 95 % interval.",
        )
        blocks += [shown] if shown is not None else []
        blocks.append(comparison_table(rows, f"Comparisons {where}, in points of mean IoU"))
        cost = f" {depthwise_headline(found.depthwise, where)}" if found.depthwise.planned else ""
        blocks.append(Prose(f"**{found.headline(where)}**{cost}"))
    tables = []
    for group, where in questions(results).items():
        accuracy = named(answer(results, group, "pixel_accuracy"))
        fitted = named(answer(results, group, split=seen))
        frames = "on the training frames" if group == "seeds" else "on the two training drives"
        tables += [
            comparison_table(rows, caption)
            for rows, caption in (
                (accuracy, f"Pixel accuracy, the paper's measure, {where}"),
                (fitted, f"Mean IoU {frames} (group {group}): how well the networks fit them"),
            )
            if any(c.differences for _, c in rows)
        ]
    if tables:
        blocks.append(
            Folded(
                "Descriptive only, not part of the answer: pixel accuracy, and scores on the training frames",
                tuple(tables),
            )
        )
    return blocks


def named(found: Answer) -> list[tuple[str, Comparison]]:
    """The comparisons of a question as the tables call them."""
    return [
        ("DepthwiseAAFF − DepthwiseBiSeNet", found.design),
        ("DepthwiseAAFF − BiSeNet (the paper's claim)", found.claim),
        ("DepthwiseAAFF − same cost without the block", found.price),
        ("DepthwiseAAFF − no gates", found.attention),
        ("BiSeNet − DepthwiseBiSeNet", found.depthwise),
        (f"{TITLES['depthwise_aaff2']} − DepthwiseAAFF", found.small),
    ]


def _trained_with(results: Results) -> str:
    """Which conditions were trained in which precision, where they differ."""
    found = conditions_by_arithmetic(results)
    if len(found) < 2:
        return ""
    told = "; ".join(f"{', '.join(listed)} in {kind}" for kind, listed in found.items())
    return f" Both networks of a pair were trained on the same kind of device and in the same precision: {told}."


def comparison_table(rows: list[tuple[str, Comparison]], caption: str) -> Table:
    """Comparisons as a table, in points."""
    body = []
    for name, c in rows:
        count = len(c.differences)
        planned = c.planned
        # Mean and interval in one cell, so that a phone shows both beside the verdict.
        interval = f" [{points(c.interval[0])}, {points(c.interval[1])}]" if c.interval else ""
        mean = points(c.mean) + interval if c.mean is not None else "–"
        verdict = f"**{c.verdict}**" if planned else "not measured"
        body.append((name, verdict, mean, f"{count} of {planned}" if planned else "none planned"))
    return Table(("", "verdict", "mean [95 % interval]", "pairs"), tuple(body), caption)
