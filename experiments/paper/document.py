"""The whole report: from a folder of results to ``index.html`` and ``README.md``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from aaff.files import write_json, write_text
from experiments.paper.analysis import answer as answer_of
from experiments.paper.analysis import noise
from experiments.paper.blocks import Document
from experiments.paper.chapters import answer, block, cost, errors, lite, origin, scores
from experiments.paper.html import render_html
from experiments.paper.markdown import write_markdown
from experiments.paper.results import Results, load_results

PAGE, TEXT = "index.html", "README.md"
"""The report in its two forms."""

TITLE = "Does the AAFF block help, and what do depthwise convolutions cost and gain?"


def build_document(results: Results, pictures: Path | None = None) -> Document:
    """The report before it has a form.

    Args:
        results: everything that was measured.
        pictures: folder with the semantic maps; None leaves them out.
    """
    document = Document(TITLE, answer.lead(results))
    document.add(*answer.state_notes(results))
    document.add(*answer.chapter(results))
    document.add(*scores.training(results))
    document.add(*errors.maps(pictures))
    document.add(*scores.table(results))
    document.add(*scores.learning(results))
    document.add(*scores.carrying_over(results))
    document.add(*cost.speed(results))
    document.add(*cost.whole(results))
    document.add(*block.chapter(results))
    document.add(*lite.chapter(results))
    document.add(*errors.chapter(results))
    document.add(*origin.chapter(results))
    made = results.plan["provenance"]
    document.footer = f"Made by `python -m experiments.paper` {made['aaff']}, {made['date'][:10]}, from results alone."
    return document


def write_report(folder: Path, results_folder: Path, pictures: Path | None = None) -> Path:
    """Write the report in both forms, and the answer as JSON beside the results.

    Args:
        folder: gets ``index.html``, ``README.md`` and ``figures/``.
        results_folder: what ``experiments.paper.results`` wrote.
        pictures: folder with the semantic maps.

    Returns:
        The HTML page.

    Raises:
        AaffError: there are no results, or a file cannot be written.
    """
    results = load_results(results_folder)
    write_json(results_folder / "answer.json", answer_to_dict(results))
    document = build_document(results, pictures)
    write_markdown(document, folder / TEXT)
    write_text(folder / PAGE, render_html(document))
    return folder / PAGE


def answer_to_dict(results: Results) -> dict[str, Any]:
    """What the rule says, JSON-ready."""
    found = {group: answer_of(results, group) for group in answer.questions(results)}
    return {
        "rule": answer.RULE_PAGE,
        "sentences": answer.lead(results),
        "headlines": {group: found[group].headline(where) for group, where in answer.questions(results).items()},
        "missing": {group: list(one.missing) for group, one in found.items()},
        "comparisons": {
            group: {field.name: getattr(one, field.name).to_dict() for field in fields(one)}
            for group, one in found.items()
        },
        "seed_noise": noise(results),
        "provenance": results.plan["provenance"],
    }
