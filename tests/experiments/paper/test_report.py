"""The report says what the results say: all of it when they are whole, and what is missing when they are not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from aaff.errors import AaffError
from aaff.files import read_json, write_json
from experiments.paper.blocks import Document, Prose
from experiments.paper.document import PAGE, TEXT, write_report
from experiments.paper.html import inline, render_html
from tests.experiments.paper.made_up import MakeUp, write_made_up

CHAPTERS = [
    "The answer, by the rule",
    "IV-A. Training",
    "IV-B. Semantic maps",
    "IV-C. Scores",
    "V-A. Learning ability",
    "V-B. Generalisation",
    "V-C. Speed",
    "V-D. Overall",
    "What the block does",
    "How the networks err",
    "Provenance",
]


def written(results: Path, folder: Path) -> tuple[str, str]:
    """The report as HTML and as Markdown."""
    write_report(folder, results)
    return (folder / PAGE).read_text(encoding="utf-8"), (folder / TEXT).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a whole report, with real charts."""
    folder = tmp_path_factory.mktemp("whole")
    write_report(folder / "report", write_made_up(folder / "results", 3, 3, True, True, True, True))
    return folder / "report"


class TestWhole:
    @pytest.fixture
    def pages(self, folder: Path) -> tuple[str, str]:
        return (folder / PAGE).read_text(encoding="utf-8"), (folder / TEXT).read_text(encoding="utf-8")

    def test_has_every_chapter_in_order(self, pages: tuple[str, str]) -> None:
        assert re.findall(r"<h2[^>]*>(.*?)</h2>", pages[0]) == CHAPTERS
        assert re.findall(r"^## (.*)$", pages[1], re.M) == CHAPTERS

    def test_needs_nothing_but_itself(self, pages: tuple[str, str]) -> None:
        page = pages[0]
        assert "<script" not in page
        addresses = re.findall(r'(?:src|href)="([^"]*)"', page) + re.findall(r"url\(([^)]*)\)|@import", page)
        assert all(address.startswith(("#", "data:")) for address in addresses)

    def test_every_link_inside_the_page_leads_somewhere(self, pages: tuple[str, str]) -> None:
        targets = set(re.findall(r' id="([^"]*)"', pages[0]))
        assert set(re.findall(r'href="#([^"]*)"', pages[0])) <= targets

    def test_table_1_has_means_spreads_baselines_speeds_and_the_papers_figures(self, pages: tuple[str, str]) -> None:
        table = pages[1].partition("Table 1, averages on val")[2].partition("Table 1")[0]
        assert "fps, openvino int8 480x360" in table
        assert "paper's protocol: Test" in table
        assert "800x640" not in table, "another size would push the columns off the page; V-C has it"
        assert pages[1].count("| 800x640 |") == 4
        bisenet = next(line for line in table.splitlines() if line.startswith("| BiSeNet"))
        assert re.search(
            r"\| 3 \| \d\d\.\d ± \d\.\d \| \d\d\.\d ± \d\.\d \| .* \| 85 \| 71 \| 35\.7 \| 16\.2 \|$", bisenet
        )
        assert "| position prior | – | 16.7 | 59.0 | 25.0 | – | – | – | – |" in table
        assert "(paper 92)" in pages[1]
        assert "| traffic light, the paper's protocol only | (paper 27) |" in pages[1]
        assert "Table 1, averages on test" in pages[1]

    def test_the_answer_stands_at_the_top_with_val_and_drives_apart(self, pages: tuple[str, str]) -> None:
        lead = pages[0].partition('class="lead">')[2].partition("</div>")[0]
        assert lead.count("<p>") == 4
        assert "3 seeds, 95 % interval" in lead
        assert "3 drives, 95 % interval" in lead
        assert "6 pairs" not in pages[1]

    def test_every_section_v_says_what_the_paper_said_and_whether_it_holds(self, pages: tuple[str, str]) -> None:
        for section in ("V-A", "V-B", "V-C", "V-D"):
            text = pages[1].partition(f"## {section}")[2].partition("\n## ")[0]
            assert text.count("**The paper says:**") == text.count("**Does it hold?**") >= 1

    def test_wide_tables_say_that_they_scroll(self, pages: tuple[str, str]) -> None:
        assert 'class="hint"' in pages[0]

    def test_charts_are_well_formed_and_have_a_name(self, folder: Path) -> None:
        charts = sorted((folder / "figures").glob("*.svg"))
        names = {path.stem for path in charts}
        wanted = {
            "curves-miou",
            "curves-pixel-accuracy",
            "classes-val",
            "classes-test",
            "generalisation-drives",
            "borders",
        }
        wanted |= {
            "differences-seeds",
            "differences-drives",
            "trade-off-latency",
            "trade-off-macs",
            "ablation",
            "calibration",
            "objects",
        }
        wanted |= {"confusion-bisenet", "gates-depthwise-aaff"}
        assert wanted <= names
        for path in charts:
            root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
            assert root.find(".//{*}title").text  # type: ignore[union-attr]
            assert not re.search(r"[\s\"](nan|inf)[\s\",]", path.read_text(encoding="utf-8"))

    def test_markdown_shows_files_that_are_there(self, pages: tuple[str, str], folder: Path) -> None:
        shown = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", pages[1])
        assert len(shown) > 15
        assert all((folder / path).is_file() for path in shown)

    def test_markdown_tables_are_rectangles(self, pages: tuple[str, str]) -> None:
        for block in re.findall(r"(?:^\|.*\n)+", pages[1], re.M):
            assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1

    def test_provenance_is_told(self, pages: tuple[str, str]) -> None:
        origin = pages[1].partition("## Provenance")[2]
        for words in (
            "processor",
            "commit",
            "torch",
            "`ffffffffffffffff`",
            "`0000000000000000`",
            "recipe of the group",
        ):
            assert words in origin


@pytest.mark.usefixtures("quick_charts")
class TestPartial:
    def test_nothing_finished_gives_an_open_answer(self, made_up: MakeUp, tmp_path: Path) -> None:
        results = made_up(seeds=0, drives=0, ablation=False, speed=False, fault=False)
        page, text = written(results, tmp_path / "report")
        assert "Whether the AAFF block helps on CamVid val is open." in page
        assert "What depthwise convolutions cost on CamVid val is open." in page
        assert "This report is partial." in text
        assert [heading for heading in CHAPTERS if f"## {heading}" not in text] == []

    @pytest.mark.parametrize(("seeds", "drives"), [(3, 1), (0, 2)])
    def test_some_finished_gives_the_numbers_at_hand(
        self, seeds: int, drives: int, made_up: MakeUp, tmp_path: Path
    ) -> None:
        results = made_up(seeds=seeds, drives=drives, ablation=False, test=False, speed=False)
        page, text = written(results, tmp_path / "report")
        assert "Whether the AAFF block helps on an unseen drive is open." in page
        assert "So far" in page
        answer = read_json(results / "answer.json")
        assert answer["comparisons"]["drives"]["design"]["verdict"] == "open"
        assert (answer["comparisons"]["seeds"]["design"]["verdict"] == "open") is (seeds < 3)
        assert len(answer["missing"]["drives"]) >= 1
        assert f"{12 - 4 * seeds} of 12 in seeds" in text or seeds == 3

    def test_one_network_alone_is_no_crash(self, made_up: MakeUp, tmp_path: Path) -> None:
        results = made_up(seeds=1, drives=0, ablation=False, speed=False)
        plan = read_json(results / "plan.json")
        for row in plan["runs"]:
            if row["name"] != "depthwise_aaff":
                row["stage"] = "waiting"
        write_json(results / "plan.json", plan)
        _, text = written(results, tmp_path / "report")
        assert "Finished seeds: DepthwiseAAFF 1." in text

    def test_a_missing_test_split_is_said_with_what_adds_it(self, made_up: MakeUp, tmp_path: Path) -> None:
        results = made_up(test=False)
        _, text = written(results, tmp_path / "report")
        assert "No test scores." in text
        assert "--report-only --test-split" in text
        assert "averages on test" not in text
        assert "the test split was not scored" in text

    def test_a_failed_run_is_told_and_leaves_the_answer_open(self, made_up: MakeUp, tmp_path: Path) -> None:
        results = made_up()
        plan = read_json(results / "plan.json")
        plan["runs"][2] |= {"stage": "failed", "failure": "the loss is not a number in step 7"}
        write_json(results / "plan.json", plan)
        _, text = written(results, tmp_path / "report")
        assert "failed: the loss is not a number in step 7" in text
        assert "is open" in text

    def test_without_speed_there_is_a_note_in_its_place(self, made_up: MakeUp, tmp_path: Path) -> None:
        _, text = written(made_up(speed=False), tmp_path / "report")
        assert "No latency yet" in text
        assert "fps, openvino" not in text
        assert "trade-off-macs" in text

    def test_a_miniature_says_that_its_scores_mean_nothing(self, made_up: MakeUp, tmp_path: Path) -> None:
        results = made_up(drives=0)
        plan = read_json(results / "plan.json")
        plan["settings"]["miniature"] = True
        plan["runs"] = [row for row in plan["runs"] if row["group"] == "seeds"]
        write_json(results / "plan.json", plan)
        _, text = written(results, tmp_path / "report")
        assert "its scores say nothing about the networks" in text
        assert "none planned" in text
        assert "This plan has no ablation." in text

    def test_no_results_at_all_is_an_error_with_the_command(self, tmp_path: Path) -> None:
        with pytest.raises(AaffError, match=r"python -m experiments\.paper --data"):
            write_report(tmp_path / "report", tmp_path / "nothing")


@pytest.mark.usefixtures("quick_charts")
def test_what_an_undecided_verdict_may_hide_is_told(made_up: MakeUp, tmp_path: Path) -> None:
    results = made_up()
    folder = results / "runs" / "drives"
    for drive in ("0001TP", "0006R0"):  # the same score in two of three pairs
        block = read_json(folder / f"depthwise_aaff-without-{drive}-seed0.json")
        ungated = folder / f"depthwise_aaff-ungated-without-{drive}-seed0.json"
        write_json(ungated, read_json(ungated) | {"scores": block["scores"]})
    _, text = written(results, tmp_path / "report")
    gates = read_json(results / "answer.json")["comparisons"]["drives"]["attention"]
    assert gates["verdict"] == "undecided"
    assert f"{100 * gates['interval95'][1]:.1f} points gained by the gates on an unseen drive" in text


@pytest.mark.usefixtures("quick_charts")
def test_seeds_without_a_test_score_are_counted_and_gaps_are_taken_within_a_seed(
    made_up: MakeUp, tmp_path: Path
) -> None:
    results = made_up()
    for path in (results / "runs" / "seeds").glob("*-seed[12].json"):
        run = read_json(path)
        del run["scores"]["test"]
        write_json(path, run)
    _, text = written(results, tmp_path / "report")
    assert "Test scores are of 4 of 12 runs" in text
    scores = read_json(results / "runs" / "seeds" / "bisenet-seed0.json")["scores"]
    gap = f"{100 * (scores['test']['miou'] - scores['val']['miou']):+.1f}".replace("-", "−")
    section = text.partition("## V-B")[2]
    row = next(line for line in section.splitlines() if line.startswith("| BiSeNet |"))
    assert f"| {gap} |" in row


@pytest.mark.usefixtures("quick_charts")
def test_conditions_of_different_precision_are_told(made_up: MakeUp, tmp_path: Path) -> None:
    results = made_up()
    assert "in cpu fp32" not in written(results, tmp_path / "report")[1]
    for path in (results / "runs" / "seeds").glob("*-seed0.json"):
        run = read_json(path)
        run["provenance"]["engine"]["precision"] = "bf16"
        write_json(path, run)
    _, text = written(results, tmp_path / "report")
    assert "seed 0 in cpu bf16; seed 1, seed 2, drive 0001TP, drive 0006R0, drive 0016E5 in cpu fp32." in text
    assert "| bisenet | seed 0 | – | cpu bf16 |" in text


@pytest.mark.usefixtures("quick_charts")
def test_figures_of_an_earlier_report_go(made_up: MakeUp, tmp_path: Path) -> None:
    old = tmp_path / "report" / "figures" / "old.svg"
    old.parent.mkdir(parents=True)
    old.touch()
    written(made_up(seeds=1, drives=0), tmp_path / "report")
    assert not old.exists()


def test_text_from_outside_is_shown_as_it_is() -> None:
    page = render_html(Document("<b>", ["a < b"], [Prose("<script>alert(1)</script> **x**")]))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert inline("`a_b` and **c**") == "<code>a_b</code> and <strong>c</strong>"


@pytest.mark.usefixtures("quick_charts")
def test_the_answer_is_written_for_programs_too(made_up: MakeUp, tmp_path: Path) -> None:
    results = made_up()
    write_report(tmp_path / "report", results)
    answer = json.loads((results / "answer.json").read_text())
    assert len(answer["sentences"]) == 4
    assert answer["rule"] == "docs/experiment/rule-2.md"
    assert answer["comparisons"]["seeds"]["price"]["verdict"] == "open"
    assert set(answer["comparisons"]["drives"]["price"]["differences"]) == {
        "drive 0001TP",
        "drive 0006R0",
        "drive 0016E5",
    }
