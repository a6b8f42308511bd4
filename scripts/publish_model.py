"""Publish a trained checkpoint in ``weights/`` under a name, in half precision, with its licence and sources.

    python -m scripts.publish_model runs/street-v2 street --licence "research only" --source "CamVid train" \
        --adjust 0.5 --data camvid streets-merged

A network trained with class weights predicts rare classes too often.  ``--adjust A`` partly corrects this: the logits
of each class are lowered by A times the logarithm of its weight (A. K. Menon et al., "Long-tail learning via logit
adjustment", ICLR 2021, arXiv:2007.07314), which changes only the biases of the last convolution.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from aaff.data.layouts import open_dataset
from aaff.data.mixture import mixed
from aaff.loading import find_model
from aaff.networks.weights import load_checkpoint, save_checkpoint
from aaff.published import weights_folder
from aaff.training.objective import class_weights
from aaff.training.options import LossOptions
from aaff.training.preparation import class_counts

_WEIGHTING = ("class_weights", "enet_constant", "class_weights_power")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder, or a checkpoint")
    parser.add_argument("name")
    parser.add_argument("--licence", required=True, help="licence of the weights")
    parser.add_argument("--source", action="append", default=[], help="a data set that they were trained on")
    parser.add_argument("--adjust", type=float, default=0.0, help="share of the class weights to correct for, 0 to 1")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="the data sets, for --adjust")
    parser.add_argument("--out", type=Path, help="folder of the checkpoint; default: weights/")
    given = parser.parse_args(arguments)
    net, card = load_checkpoint(find_model(given.run, engine="torch"))
    if given.adjust:
        if not given.data:
            parser.error("--adjust needs --data, the data sets that the network was trained on")
        sets = [open_dataset(root, card.recipe["train_split"], protocol=card.recipe["protocol"]) for root in given.data]
        split = mixed(sets, card.recipe["repeat"])
        loss = LossOptions(**{k: v for k, v in card.recipe["loss"].items() if k in _WEIGHTING})
        weights = class_weights(loss.class_weights, class_counts(split), loss.enet_constant, loss.class_weights_power)
        if weights is None:
            parser.error("the network was trained without class weights; leave out --adjust")
        bias = net.classifier.bias
        assert bias is not None
        with torch.no_grad():  # pixel shuffle keeps the channels of one class together
            bias -= given.adjust * weights.log().repeat_interleave(len(bias) // len(weights))
    provenance = {**card.provenance, "sources": given.source, "logit_adjustment": given.adjust}
    chosen = (card.score or {}).get("selected_on")  # its scores are those before the adjustment
    score = {"selected_on": chosen} if chosen else None
    card = replace(card, licence=given.licence, provenance=provenance, score=score)
    out = (given.out or weights_folder()) / f"{given.name}.safetensors"
    save_checkpoint(out, net.state_dict(), card, dtype=torch.float16)
    print(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
