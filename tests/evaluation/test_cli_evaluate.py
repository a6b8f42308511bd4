"""``aaff evaluate``: the table, the JSON, the baselines, and what it refuses."""

import json
import shutil

import numpy as np
import pytest
import torch

from aaff.card import ModelCard
from aaff.cli import main
from aaff.data import open_dataset
from aaff.evaluation import ConfusionMatrix
from aaff.images import write_image
from aaff.labels import CAMVID32
from aaff.loading import load, load_engine
from aaff.networks import create_model
from aaff.networks.weights import save_checkpoint
from aaff.preprocess import Size
from aaff.provenance import file_hash


def evaluated(*words):
    assert main(["evaluate", *map(str, words)]) == 0


def test_scores_of_a_checkpoint_with_all_they_rest_on(checkpoint, scenes_dir, tmp_path, capsys):
    evaluated(checkpoint, "--data", scenes_dir, "--json", tmp_path / "val.json")
    data = json.loads((tmp_path / "val.json").read_text())
    expected = {"protocol": "camvid11", "split": "val", "images": 8, "size": "160x120", "resize": "logits"}
    expected |= {"model": "depthwise_aaff", "engine": "torch", "precision": "fp32", "selected_on": "val"}
    assert {key: data[key] for key in expected} == expected
    assert data["checkpoint"] == file_hash(checkpoint)
    assert set(data["baselines"]) == {"majority class", "position prior"}
    assert data["baselines"]["position prior"]["learned_from"] == "train"

    engine, matrix = load_engine(checkpoint), ConfusionMatrix(11)
    for sample in open_dataset(scenes_dir, "val"):
        matrix.update(sample.label, engine.segment(sample.image))
    assert data["confusion"]["counts"] == matrix.counts.tolist()
    assert data["miou"] == matrix.metrics().miou
    assert data["per_class"]["road"]["iou"] == matrix.metrics().iou[3]

    shown = capsys.readouterr().out
    for part in ("mean IoU", "majority class", "position prior", "bicyclist", "resize: logits", "val.json"):
        assert part in shown


def test_a_run_folder_another_split_and_another_size(checkpoint, scenes_dir, tmp_path):
    evaluated(
        checkpoint.parent, "--data", scenes_dir, "--split", "test", "--size", "96x72", "--json", tmp_path / "t.json"
    )
    data = json.loads((tmp_path / "t.json").read_text())
    assert (data["split"], data["size"]) == ("test", "96x72")
    pixels = sum(row["pixels"] for row in data["per_class"].values())
    labels = [sample.label for sample in open_dataset(scenes_dir, "test")]
    assert pixels == sum(int((label != 255).sum()) for label in labels), "counted at the size of the labels"


def test_the_sizes_that_wide_frames_were_given_are_told(checkpoint, tmp_path):
    for width, name in ((160, "a"), (160, "b"), (240, "c")):
        write_image(tmp_path / "val" / f"{name}.png", np.zeros((120, width, 3), np.uint8))
        write_image(tmp_path / "valannot" / f"{name}.png", np.full((120, width), 3, np.uint8))
    evaluated(checkpoint, "--data", tmp_path, "--json", tmp_path / "wide.json")
    wide = str(load(checkpoint).engine_for(np.zeros((120, 240, 3), np.uint8)).card.size)
    assert json.loads((tmp_path / "wide.json").read_text())["size"] == f"160x120, {wide}"
    assert wide != "160x120"


def test_a_split_is_usable_when_it_alone_is_present(checkpoint, scenes_dir, tmp_path, capsys):
    for folder in ("val", "valannot"):
        shutil.copytree(scenes_dir / folder, tmp_path / "alone" / folder)
    evaluated(checkpoint, "--data", tmp_path / "alone", "--json", tmp_path / "a.json")
    data = json.loads((tmp_path / "a.json").read_text())
    assert data["baselines"] == {}
    assert "no baseline rows" in data["notes"][0]
    assert "no baseline rows" in capsys.readouterr().out


def test_a_fold_over_drives_has_the_baselines_of_its_own_training_drives(checkpoint, scenes_dir, tmp_path):
    from aaff.data import splits

    fold = next(name for name in splits(scenes_dir, protocol="camvid11-drives") if name.startswith("drive-"))
    words = (checkpoint, "--data", scenes_dir, "--protocol", "camvid11-drives", "--split", fold)
    evaluated(*words, "--json", tmp_path / "d.json")
    data = json.loads((tmp_path / "d.json").read_text())
    assert data["protocol"] == "camvid11-drives"
    assert data["baselines"]["position prior"]["learned_from"] == fold.replace("drive-", "train-without-")


def refused(capsys, *words):
    assert main(["evaluate", *map(str, words)]) == 2
    streams = capsys.readouterr()
    assert streams.err.startswith("aaff: ")
    assert "Traceback" not in streams.err
    return streams.err


def test_a_split_that_is_not_there_names_those_that_are(checkpoint, scenes_dir, capsys):
    said = refused(capsys, checkpoint, "--data", scenes_dir, "--split", "holdout")
    assert all(name in said for name in ("train", "val", "test"))


def test_a_model_of_other_classes_is_not_scored(scenes_dir, tmp_path, capsys):
    torch.manual_seed(0)
    net = create_model("depthwise_aaff", CAMVID32.num_classes)
    card = ModelCard("depthwise_aaff", {}, CAMVID32, "camvid32", Size(160, 120))
    save_checkpoint(tmp_path / "raw.safetensors", net.state_dict(), card)
    words = (
        tmp_path / "raw.safetensors",
        "--data",
        scenes_dir,
        "--protocol",
        "camvid11",
        "--json",
        tmp_path / "x.json",
    )
    said = refused(capsys, *words)
    assert "31 classes of camvid32" in said
    assert "11 of camvid11" in said
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("data", ["nowhere", "empty"])
def test_no_data(checkpoint, tmp_path, capsys, data):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / data) in refused(capsys, checkpoint, "--data", tmp_path / data)


def test_a_label_that_is_another_size_names_the_file(checkpoint, scenes_dir, tmp_path, capsys):
    from aaff.images import write_image

    for folder in ("val", "valannot"):
        shutil.copytree(scenes_dir / folder, tmp_path / folder)
    broken = sorted((tmp_path / "valannot").iterdir())[3]
    write_image(broken, np.zeros((5, 5), np.uint8))
    assert broken.name in refused(capsys, checkpoint, "--data", tmp_path)
