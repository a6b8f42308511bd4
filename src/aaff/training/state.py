"""The saved state for resuming a run: network, optimiser, averaged weights, position and history.

It is one ``.safetensors`` file that is replaced atomically, so a run killed at any moment leaves either the older or
the newer state, complete.  Values that are not tensors are stored as JSON in its header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from aaff.errors import ModelError
from aaff.networks.weights import write_tensors


@dataclass
class Position:
    """The progress of a run.

    Attributes:
        epoch: number of finished epochs.
        batch: batches done in the current epoch.
        step: optimiser steps in total.
        loss_sum: sum of the step losses of the current epoch.
        seconds: training time, including validation and excluding interruptions.
        history: one row per finished epoch.
        best: highest validation mean IoU so far.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None


@dataclass
class Snapshot:
    """The state of a run that is saved and resumed.

    Attributes:
        network: ``state_dict`` of the training network, including auxiliary heads.
        average: ``state_dict`` of the averaged weights; empty without averaging.
        optimizer: ``state_dict`` of the optimiser.
        position: progress of the run.
        recipe: the effective recipe.
        engine: the resolved engine: device, precision, threads.
        data: fingerprint of the names of the training frames.
        origin: where the initial weights came from, for the model card; empty for randomly initialised weights.
    """

    network: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    position: Position
    recipe: dict[str, Any]
    engine: dict[str, Any]
    data: str
    origin: dict[str, Any] = field(default_factory=dict)


def save_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Write the state of a run, atomically replacing the older one.

    Raises:
        AaffError: the state cannot be written; the older one is unchanged.
    """
    tensors = {f"network/{k}": v for k, v in snapshot.network.items()}
    tensors |= {f"average/{k}": v for k, v in snapshot.average.items()}
    slots: dict[str, dict[str, Any]] = {}
    for index, entries in snapshot.optimizer["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{key}"] = value
            else:
                slots.setdefault(str(index), {})[key] = value
    header = {
        "position": asdict(snapshot.position),
        "recipe": snapshot.recipe,
        "engine": snapshot.engine,
        "data": snapshot.data,
        "origin": snapshot.origin,
        "optimizer": {"groups": snapshot.optimizer["param_groups"], "slots": slots},
    }
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_tensors(path, kept, {"aaff-state": json.dumps(header)})


def load_snapshot(path: Path) -> Snapshot:
    """Read a state written by ``save_snapshot``.

    Raises:
        ModelError: there is no such file, or it is not the state of a run.
    """
    if not path.is_file():
        raise ModelError(f"there is nothing to resume: no {path}")
    network: dict[str, Tensor] = {}
    average: dict[str, Tensor] = {}
    state: dict[int, dict[str, Any]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["aaff-state"])
            for name in file.keys():  # noqa: SIM118  # not a mapping
                kind, _, rest = name.partition("/")
                if kind == "optimizer":
                    index, _, key = rest.partition("/")
                    state.setdefault(int(index), {})[key] = file.get_tensor(name)
                else:
                    {"network": network, "average": average}[kind][rest] = file.get_tensor(name)
        for index_text, entries in header["optimizer"]["slots"].items():
            state.setdefault(int(index_text), {}).update(entries)
        return Snapshot(
            network,
            average,
            {"state": state, "param_groups": header["optimizer"]["groups"]},
            Position(**header["position"]),
            header["recipe"],
            header["engine"],
            header["data"],
            header.get("origin", {}),  # 0.1 did not write it
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} is not a complete state of a training run ({error}); start again without --resume"
        ) from error
