"""Importing this module registers the networks of the modern comparison, for ``--import``."""

from __future__ import annotations

from aaff.networks.registry import register_model
from experiments.paper.lite_networks import pyramid_lite0, two_sides_lite0

_LITE = "M. Tan and Q. Le, EfficientNet, ICML 2019"

register_model(paper=f"T.-Y. Lin et al., FPN, CVPR 2017; {_LITE}")(pyramid_lite0)
register_model(paper=f"Y. Cheng, Attention and Feature Fusion Network; {_LITE}")(two_sides_lite0)
