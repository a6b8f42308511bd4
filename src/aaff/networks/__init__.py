"""Networks: registry, blocks, one file per paper, complexity and checkpoints."""

from aaff.networks import (  # importing a file registers its networks
    aaff_lite,  # noqa: F401
    bisenet,  # noqa: F401
    bisenet_r18,  # noqa: F401
    bisenetv2,  # noqa: F401
    ddrnet,  # noqa: F401
    depthwise_aaff,  # noqa: F401
    enet,  # noqa: F401
    fcn,  # noqa: F401
    icnet,  # noqa: F401
    pidnet,  # noqa: F401
    pp_liteseg,  # noqa: F401
    segnet,  # noqa: F401
    stdc,  # noqa: F401
    unet,  # noqa: F401
)
from aaff.networks.base import SegmentationNetwork
from aaff.networks.registry import ModelInfo, create_model, list_models, model_info

__all__ = ["ModelInfo", "SegmentationNetwork", "create_model", "list_models", "model_info"]
