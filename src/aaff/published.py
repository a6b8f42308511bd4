"""Models that come with the package, found by name: ``weights/NAME.safetensors`` and the shipped default.

Weights stand in ``weights/`` of the repository and are carried by the wheel as ``aaff/weights``.  The shipped
model, which runs when nothing is named, is a deployed ``.onnx`` file in two precisions inside the package.
"""

from __future__ import annotations

from pathlib import Path

from aaff.errors import ModelError

_PACKAGE = Path(__file__).parent
SHIPPED = _PACKAGE / "shipped"
"""Folder of the deployed model that comes with the package."""


def weights_folder() -> Path:
    """Where published weights lie: inside an installed package, else beside ``src`` in a checkout."""
    installed = _PACKAGE / "weights"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "weights"


def list_published() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.stem for path in weights_folder().glob("*.safetensors"))


def find_published(name: str) -> Path | None:
    """The weights of a published model, None when there is none of that name.

    >>> find_published("no such model") is None
    True
    """
    return weights_folder() / f"{name}.safetensors" if name in list_published() else None


def find_shipped(precision: str | None = None) -> Path:
    """The deployed model that runs when nothing is named.

    Args:
        precision: what it will be run in: ``"fp32"`` and ``"bf16"`` take the file in fp32; int8 if left out,
            which is faster.

    Raises:
        ModelError: none is shipped in that precision.
    """
    wanted = "fp32" if precision in ("fp32", "bf16") else "int8"
    found = sorted(SHIPPED.glob(f"*-{wanted}.onnx"))
    if found:
        return found[0]
    raise ModelError(
        f"no model is shipped in {wanted} with this version of aaff; name a checkpoint or a run folder, "
        "or train one with: aaff train --data DIR --model depthwise_aaff"
    )
