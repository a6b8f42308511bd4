"""What the experiments register stays theirs."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from aaff.data.layouts import _LAYOUTS
from aaff.networks.registry import _MODELS
from experiments.paper.modern import MODULE as NETWORKS
from experiments.section2.plan import MODULE as LAYOUT


@pytest.fixture(autouse=True)
def _own_registries() -> Iterator[None]:
    """Take out the networks and layouts that a test registers, so that no other test finds them."""
    kept = [(registry, dict(registry)) for registry in (_MODELS, _LAYOUTS)]
    yield
    for registry, entries in kept:
        registry.clear()
        registry.update(entries)
    for module in (NETWORKS, LAYOUT):
        sys.modules.pop(module, None)
