"""The three sentences at the top, and the chapter that shows how the rule comes to them."""

from __future__ import annotations

from experiments.paper.analysis import (
    TITLES,
    UNPLANNED,
    against,
    block_answer,
    conditions,
    conditions_by_arithmetic,
    depthwise_cost,
    noise,
    unfinished,
)
from experiments.paper.archive import LATER
from experiments.paper.blocks import Block, Folded, Heading, Note, Prose, Table, figure
from experiments.paper.figures import differences, points
from experiments.paper.plan import GROUPS
from experiments.paper.results import Results
from experiments.paper.rule import BAR, Comparison, cost_sentence, speed_gain
from experiments.paper.speed import main_setting, speed_rows

RULE_PAGE = "docs/experiment/rule.md"
"""The rule, in the project's repository."""


def lead(results: Results) -> list[str]:
    """The answer in three sentences: the block, the depthwise convolutions, what remains uncertain."""
    return [_block_sentence(results), _depthwise_sentence(results), _uncertainty(results)]


def _block_sentence(results: Results) -> str:
    answer = block_answer(results)
    told = [
        f"from {what} by {_amount(c)}"
        for what, c in (
            ("that of DepthwiseBiSeNet", answer.design),
            ("its own without gates", answer.attention),
            ("that of a DepthwiseBiSeNet of the same cost", answer.price),
        )
        if c.differences
    ]
    if not told:
        return f"**{answer.sentence}**"
    so_far = "So far the" if answer.missing else "The"
    return f"**{answer.sentence}** {so_far} mean IoU of DepthwiseAAFF differs {', '.join(told)}."


def _amount(comparison: Comparison) -> str:
    """Mean ± two standard errors in points, with the number of pairs."""
    assert comparison.mean is not None
    spread = f" ± {100 * BAR * comparison.error:.1f}" if comparison.error is not None else ""
    count = len(comparison.differences)
    return f"{points(comparison.mean)}{spread} points ({count} pair{'s' if count > 1 else ''})"


def _depthwise_sentence(results: Results) -> str:
    cost = depthwise_cost(results)
    sentence = f"**{cost_sentence(cost)}**"
    if cost.verdict == "open" and cost.differences:
        sentence += f" So far the mean IoU of BiSeNet differs from that of DepthwiseBiSeNet by {_amount(cost)}."
    gains = [*_saved(results), *_faster(results)]
    listed = " and ".join([", ".join(gains[:-1]), gains[-1]] if len(gains) > 1 else gains)
    return sentence + (f" They save {listed}." if gains else "")


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
    where = f"end-to-end latency with {setting[0]} in {setting[1]} at {setting[2]}"
    if not counts:
        return [f"no time ({where}: {ratio:.2f} times the speed)"]
    return [f"{100 * (1 - 1 / ratio):.0f} % of the time ({where}: {ratio:.2f} times the speed)"]


def _uncertainty(results: Results) -> str:
    missing = unfinished(results)
    done = len(results.plan["runs"]) - len(missing)
    seeds, drives = (len(conditions(results, group)) for group in ("seeds", "drives"))
    parts = []
    if missing:
        parts.append(f"{done} of {len(results.plan['runs'])} runs are finished")
    answer, cost = block_answer(results), depthwise_cost(results)
    decided = [c for c in (answer.design, answer.attention, answer.price, cost) if c.interval_agrees is not None]
    weak = [c for c in decided if not c.interval_agrees]
    if decided:
        told = f"{len(weak)} of {len(decided)} verdicts would not stand" if weak else "every verdict would stand"
        parts.append(f"by a 95 % interval in place of two standard errors {told}")
    hidden = [
        f"up to {100 * (c.mean + BAR * c.error):.1f} points {what}"
        for c, what in ((answer.attention, "gained by the gates"), (answer.price, "over the same computation"))
        if c.verdict == "not shown" and c.mean is not None and c.error is not None
    ]
    if hidden:
        parts.append(f"the pairs on the drives may hide {' and '.join(hidden)}")
    deviation = noise(results)
    if deviation is not None:
        parts.append(f"another seed alone moves val mean IoU by {100 * deviation:.1f} points (standard deviation)")
    parts.append(f"all of it rests on one recipe, {seeds} seed{'s' * (seeds != 1)} and {drives} drives")
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
                "shows that everything works and how it looks; its scores say nothing about the networks."
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
                f"**This report is partial.** Not finished: {'; '.join(groups)}. "
                f"All figures are of finished runs.{told}"
            )
        )
    if not has_test(results):
        notes.append(
            Note(
                "**No test scores.** The test split is absent or was not asked for; everything below is on train, val "
                "and held-out drives. Once the split is there, `python -m experiments.paper --data DIR --report-only "
                "--test-split` adds it; in a clone, where only published weights are left, with `--publish .`."
            )
        )
    elif any(LATER in run.scores and run.scores[LATER]["checkpoint"] != run.checkpoint for run in results.runs):
        notes.append(
            Note(
                "**Test scores are of the first seeds.** The test split came when the other checkpoints were gone; "
                "what was scored are the published weights, rounded to half precision."
            )
        )
    return notes


def chapter(results: Results) -> list[Block]:
    """How the rule comes to the answer."""
    answer, cost = block_answer(results), depthwise_cost(results)
    named = [
        ("A. against DepthwiseBiSeNet", answer.design),
        ("B. against no gates", answer.attention),
        ("C. against the same cost", answer.price),
        ("A on the drives alone", answer.drives),
        ("BiSeNet − DepthwiseBiSeNet", cost),
    ]
    blocks: list[Block] = [
        Heading("The answer, by the rule"),
        Prose(
            f"What counts was written down before the first run ended, in `{RULE_PAGE}`. A difference is taken between "
            "two networks under the same conditions, a seed (val) or a held-out drive, and counts when its mean "
            f"exceeds {BAR:g} standard errors. Primary score: mean IoU of the last epoch's averaged weights."
            + _trained_with(results)
        ),
    ]
    shown = figure(
        "differences",
        differences(named),
        "Paired differences in mean IoU. Circles: seeds; squares: drives; diamonds: mean ± two standard errors.",
    )
    if shown is not None:
        blocks.append(shown)
    blocks.append(comparison_table(named, "The comparisons of the rule, in points of mean IoU"))
    generalises = {
        "higher": "AAFF generalises better to an unseen drive than DepthwiseBiSeNet.",
        "lower": "AAFF generalises worse to an unseen drive than DepthwiseBiSeNet.",
        "not shown": "That AAFF generalises better to an unseen drive is not shown.",
        "open": "Whether AAFF generalises better to an unseen drive is open.",
    }[answer.drives.verdict]
    blocks.append(Prose(f"**{answer.sentence} {generalises}** {cost_sentence(cost)}"))
    others = [
        (f"{TITLES[a]} − {TITLES[b]}", against(results, a, b))
        for a, b in (("depthwise_aaff", "bisenet"), ("depthwise_aaff2", "depthwise_aaff"))
    ]
    accuracy = [
        (f"{TITLES[a]} − {TITLES[b]}", against(results, a, b, "pixel_accuracy"))
        for a, b in (("depthwise_aaff", "depthwise_bisenet"), ("bisenet", "depthwise_bisenet"))
    ]
    tables = [
        comparison_table(rows, caption)
        for rows, caption in (
            (others, "Further pairs, in points of mean IoU"),
            (accuracy, "In points of pixel accuracy, the paper's measure"),
        )
        if any(c.differences for _, c in rows)
    ]
    if tables:
        blocks.append(Folded("Described, deciding nothing: other pairs, and pixel accuracy", tuple(tables)))
    return blocks


def _trained_with(results: Results) -> str:
    """Which conditions were trained in which precision, where they differ."""
    found = conditions_by_arithmetic(results)
    if len(found) < 2:
        return ""
    told = "; ".join(f"{', '.join(listed)} in {kind}" for kind, listed in found.items())
    return f" Both networks of a pair were trained on the same kind of device in the same precision: {told}."


def comparison_table(rows: list[tuple[str, Comparison]], caption: str) -> Table:
    """Comparisons as a table, in points."""
    body = []
    for name, c in rows:
        count = len(c.differences)
        planned = count + sum(condition not in UNPLANNED for condition in c.missing)
        error = f"± {100 * BAR * c.error:.1f}" if c.error is not None else "–"
        interval = f"{points(c.interval[0])} to {points(c.interval[1])}" if c.interval else "–"
        agrees = {True: "yes", False: "no", None: "–"}[c.interval_agrees]
        mean = points(c.mean) if c.mean is not None else "–"
        body.append(
            (
                name,
                f"{count} of {planned}" if planned else "none planned",
                mean,
                error,
                interval,
                f"**{c.verdict}**",
                agrees,
            )
        )
    columns = ("comparison", "pairs", "mean", "2 standard errors", "95 % interval", "verdict", "interval agrees")
    return Table(columns, tuple(body), caption)
