"""Put a trained checkpoint into ``weights/`` under a name, in half precision, with its licence and sources stated.

python scripts/publish_model.py runs/street-v2 street --licence "research and ..." --source CamVid --source ...
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from aaff.loading import find_model
from aaff.networks.weights import load_checkpoint, save_checkpoint
from aaff.published import weights_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, or a checkpoint")
    parser.add_argument("name")
    parser.add_argument("--licence", required=True, help="licence of the weights")
    parser.add_argument("--source", action="append", default=[], help="a data set that they were trained on")
    given = parser.parse_args()
    net, card = load_checkpoint(find_model(given.run, engine="torch"))
    provenance = {**card.provenance, "sources": given.source}
    out = weights_folder() / f"{given.name}.safetensors"
    save_checkpoint(
        out, net.state_dict(), replace(card, licence=given.licence, provenance=provenance), dtype=torch.float16
    )
    print(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
