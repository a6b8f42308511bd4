"""``python -m experiments.paper``: what it tells, what it refuses, and what a second call adds."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aaff.files import read_json
from aaff.training.recipe import Recipe
from experiments.paper.__main__ import Args, archive_of, choose, main
from experiments.paper.groups import GROUPS
from experiments.paper.plan import Settings, make_plan
from tests.experiments.paper.made_up import MakeUp
from tests.experiments.paper.tiny import NAMES, TINY


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the networks' costs are kept from test to test, since counting them all takes seconds."""
    return tmp_path_factory.mktemp("costs") / "costs.json"


@pytest.fixture
def words(scenes_dir: Path, copied: Path, tmp_path: Path, counted: Path) -> Iterator[list[str]]:
    """The command that resumes the finished experiment."""
    if counted.is_file():
        shutil.copy(counted, copied / "costs.json")
    recipe = TINY.to_dict()
    for key in ("model", "seed", "engine"):
        recipe.pop(key, None)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in recipe.items() if value is not None}))
    yield ["--data", str(scenes_dir), "--out", str(copied), "--recipe", str(path)]
    if (copied / "costs.json").is_file():
        shutil.copy(copied / "costs.json", counted)


def test_status_shows_what_is_done_and_what_is_left(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--status"]) == 0
    told = capsys.readouterr().out
    assert re.search(rf"{NAMES[1]}\s+done\s+2/2", told)
    assert re.search(r"seeds/bisenet-seed1\s+waiting\s+0/2", told)
    assert re.search(r"seeds: 2 of 19 done; .* in all, .* left", told)
    assert "measured on the runs so far" in told


def test_the_test_split_is_added_by_a_later_report(
    words: list[str], copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*words, "--report-only", "--jobs", "2", "--threads", "1"]
    assert main(words) == 0
    text = (copied / "report" / "README.md").read_text()
    assert "No test scores." in text
    assert "This report is partial." in text
    assert "report: " in capsys.readouterr().out
    scores = copied / NAMES[0] / "measured" / "val.json"
    before = scores.stat().st_mtime_ns
    assert main([*words, "--test-split"]) == 0
    text = (copied / "report" / "README.md").read_text()
    assert "No test scores." not in text
    assert "Table 1, averages on test" in text
    assert scores.stat().st_mtime_ns == before  # what was there is not scored again
    assert not (copied / "seeds" / "bisenet-seed1").exists()  # nothing was trained
    assert read_json(copied / "report" / "results" / "plan.json")["settings"]["test"] is True


def test_publishing_writes_what_a_repository_keeps_and_no_frame(
    words: list[str], copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    words = [*words, "--publish", str(root), "--report-only"]
    assert main(words) == 0
    assert f"weights: {root / 'weights' / 'bisenet.safetensors'}" in capsys.readouterr().out
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {"docs/experiment/index.html", "docs/experiment/README.md", "weights/bisenet.md"} <= names
    assert {f"results/experiment/runs/{name}.json" for name in NAMES} <= names
    assert "results/experiment/answer.json" in names
    text = (root / "docs" / "experiment" / "README.md").read_text()
    assert "these are synthetic streets" in text
    assert not [name for name in names if name.endswith((".jpg", ".jpeg"))]  # frames are shown in sheets of few colours
    # The machine is lost: the repository alone tells that the runs are done.
    shutil.rmtree(copied / "seeds")
    assert main([*words, "--status"]) == 0
    assert "seeds: 2 of 19 done" in capsys.readouterr().out


def test_another_recipe_is_refused_with_status_2(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(path.read_text().replace("epochs: 2", "epochs: 5"))
    assert main([*words, "--report-only"]) == 2
    assert "epochs (2 → 5)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--recipe", "papr"], "did you mean 'paper'?"),
        (["--recipe", "missing.yaml"], "missing.yaml"),
        (["--data", "no-such-folder"], "no-such-folder"),
    ],
)
def test_mistakes_are_sentences(
    more: list[str], message: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *more, "--status"]) == 2
    assert message in capsys.readouterr().err


def test_it_needs_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "--data DIR" in capsys.readouterr().err


@pytest.mark.usefixtures("quick_charts")
def test_published_pages_are_rebuilt_from_results_alone(made_up: MakeUp, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(made_up(seeds=1, drives=0), root / "results" / "experiment")
    assert main(["--report-only", "--publish", str(root), "--out", str(tmp_path / "out")]) == 0
    assert "## V-D. Overall" in (root / "docs" / "experiment" / "README.md").read_text(encoding="utf-8")


def test_a_part_of_the_plan_can_be_chosen() -> None:
    recipes = {group: Recipe() for group in GROUPS}
    plan = make_plan(Settings(recipes, folds=("0001TP", "0006R0")), lambda model, options, size: 1)

    def chosen(**options: object) -> set[str]:
        return {run.name for run in choose(plan, Args(**options))}  # type: ignore[arg-type]

    assert len(chosen()) == len(plan)
    assert chosen(only=("seeds",), seeds=(1,), networks=("bisenet",)) == {"seeds/bisenet-seed1"}
    assert {name.split("/")[0] for name in chosen(only=("ablation",))} == {"ablation"}
    drives = chosen(only=("drives",), folds=("0006R0",))
    assert len(drives) == 6
    assert all("without-0006R0" in name for name in drives)
    assert chosen(only=("fault",)) == set()


def test_results_stand_for_runs_only_where_they_are_named() -> None:
    assert archive_of(Args()) is None
    assert archive_of(Args(publish=Path("here"))) == Path("here/results/experiment")
    assert archive_of(Args(publish=Path("here"), results=Path("there"))) == Path("there")
