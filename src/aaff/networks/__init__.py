"""Networks: registry, blocks, the four networks of the paper, their complexity and their files."""

from aaff.networks import aaff_lite, bisenet, depthwise_aaff  # noqa: F401  # importing a file registers its networks
from aaff.networks.base import SegmentationNetwork
from aaff.networks.registry import ModelInfo, create_model, list_models, model_info

__all__ = ["ModelInfo", "SegmentationNetwork", "create_model", "list_models", "model_info"]
