"""Publishing a trained checkpoint: what of it is kept and what is adjusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aaff.data import open_dataset
from aaff.errors import ModelError
from aaff.networks.weights import read_checkpoint, save_checkpoint
from aaff.training.recipe import Recipe
from aaff.training.trainer import train
from scripts.publish_model import main

BIAS = "tail.classify.bias"


@pytest.fixture(scope="module")
def run(scenes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = ("width=0.25", "sides=1", "spatial=false")
    folder = tmp_path_factory.mktemp("published") / "run"
    train(scenes_dir, Recipe(model="depthwise_aaff", options=options, epochs=1, batch=4), folder)
    return folder


def test_the_split_that_chose_the_weights_is_kept_and_the_score_is_not(run: Path, tmp_path: Path) -> None:
    main([str(run), "small", "--licence", "none", "--source", "scenes", "--out", str(tmp_path)])
    weights, card = read_checkpoint(tmp_path / "small.safetensors")
    assert card.score == {"selected_on": "val"}
    assert (card.licence, card.provenance["sources"]) == ("none", ["scenes"])
    trained = read_checkpoint(run / "best.safetensors")[0]
    assert all(np.allclose(value, weights[name], rtol=1e-3, atol=1e-3) for name, value in trained.items())


def test_the_logits_of_rare_classes_are_lowered(run: Path, scenes_dir: Path, tmp_path: Path) -> None:
    for amount, name in ((0.0, "plain"), (1.0, "adjusted")):
        data = ["--adjust", str(amount), "--data", str(scenes_dir)]
        main([str(run), name, "--licence", "none", "--out", str(tmp_path), *data])
    plain, adjusted = (read_checkpoint(tmp_path / f"{name}.safetensors")[0][BIAS] for name in ("plain", "adjusted"))
    lowered = (plain - adjusted).reshape(11, -1).mean(1).tolist()
    labels = np.concatenate([sample.label.ravel() for sample in open_dataset(scenes_dir, "train")])
    share = np.bincount(labels[labels != 255], minlength=11)
    assert np.argsort(lowered)[0] == share.argmax()
    assert np.argsort(lowered)[-1] == share.argmin()


def test_an_adjustment_needs_the_data(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(run), "small", "--licence", "none", "--out", str(tmp_path), "--adjust", "1"])
    assert ended.value.code == 2
    assert "--data" in capsys.readouterr().err


def test_weights_beyond_half_precision_are_not_written(run: Path, tmp_path: Path) -> None:
    weights, card = read_checkpoint(run / "best.safetensors")
    weights[BIAS][0] = 1e5
    with pytest.raises(ModelError, match=BIAS):
        save_checkpoint(tmp_path / "large.safetensors", weights, card, dtype=torch.float16)
    assert not (tmp_path / "large.safetensors").exists()
