"""How the stages of a published model's training are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from aaff.textfile import read_json, to_yaml
from aaff.training.recipe import Recipe
from aaff.training.trainer import train
from scripts.training_history import changes, main

SMALL = {"model": "depthwise_aaff", "options": ("width=0.25", "sides=1", "spatial=false"), "epochs": 1, "batch": 4}


def recipe(**changed: Any) -> dict[str, Any]:
    return Recipe(**SMALL, **changed).to_dict()  # type: ignore[arg-type]


def test_what_a_stage_changed_is_told_and_where_it_ran_is_not() -> None:
    first, second = recipe(), recipe(repeat=(3, 1), warm_start="elsewhere/last.safetensors", eval_every=7)
    second["optim"]["lr"] = 0.125
    second["engine"]["threads"] = 1
    del first["loss"]["lovasz"]  # of a version without it: its default
    assert changes([{"recipe": first}, {"recipe": second}]) == [{}, {"repeat": [3, 1], "optim.lr": 0.125}]


def test_stages_keep_their_epochs_and_tell_no_path(scenes_dir: Path, tmp_path: Path) -> None:
    run, results = tmp_path / "first", tmp_path / "results"
    train(scenes_dir, Recipe(**SMALL), run)  # type: ignore[arg-type]
    (run / "recipe.yaml").write_text(to_yaml(recipe(warm_start=str(run / "last.safetensors"))))
    root = ("--root", str(tmp_path))
    main(["small", str(run), *root])
    main(["small", str(run), "--append", *root])
    main(["small", str(run), "--trials", *root])
    stages = read_json(results / "small_training.json")["stages"]
    trials = read_json(results / "small_trials.json")["trials"]
    assert [kept["recipe"]["warm_start"] for kept in (*stages, *trials)] == ["stage 0", "stage 1", "small"]
    for kept in (*stages, *trials):
        assert kept["epochs"][-1]["step"] == 6
        assert 0 <= kept["epochs"][-1]["miou"] <= 1
        assert "versions" in kept["provenance"]
    curves = ElementTree.parse(tmp_path / "docs" / "images" / "small-training.svg")
    assert curves.getroot().tag.endswith("svg")
