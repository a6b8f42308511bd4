"""The script for a GPU that is lent for minutes, on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from aaff.card import ModelCard
from aaff.labels import CAMVID11
from aaff.networks import create_model
from aaff.networks.weights import load_checkpoint, save_checkpoint
from aaff.preprocess import Size

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_on_gpu.sh"
OPTIONS = {"width": 0.25, "sides": 1, "spatial": False}
WORDS = "--model depthwise_aaff --options width=0.25 sides=1 spatial=false --augment.crop 64x48 --render-every 0"


def test_leaves_checkpoints_within_16_mib(blocks_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text("eval_every: 1\n")
    start = tmp_path / "start.safetensors"
    net = create_model("depthwise_aaff", 11, **OPTIONS)
    save_checkpoint(start, net.state_dict(), ModelCard("depthwise_aaff", OPTIONS, CAMVID11, "camvid11", Size(72, 56)))
    out = tmp_path / "out"
    env = {"RECIPE": str(tmp_path / "short.yaml"), "EPOCHS": "1", "BATCH": "4", "DEVICE": "cpu", "PRECISION": "fp32"}
    env |= {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}

    line = [str(SCRIPT), str(start), "10", str(out), str(blocks_dir), "--", *WORDS.split()]
    done = subprocess.run(line, env={**os.environ, **env}, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} >= {"best.safetensors", "last.safetensors", "metrics.csv"}
    assert sum(path.stat().st_size for path in out.iterdir()) <= 16 * 2**20
    trained, card = load_checkpoint(out / "last.safetensors")
    assert card.epoch == 1
    with torch.no_grad():
        assert trained.logits(torch.zeros(1, 3, 48, 64)).isfinite().all()


def test_says_how_it_is_called() -> None:
    done = subprocess.run([str(SCRIPT)], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "CHECKPOINT" in done.stderr
