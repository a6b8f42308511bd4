"""Every reader of users' files ends in a result or in a short sentence, whatever the file holds.

A short run; ``make fuzz`` does a long one.  An input that fails goes to ``seeds/NAME/`` and is read in every run.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import KINDS, TOKENS, Edit, mutated
from tests.fuzz.targets import TARGETS, Target

EDITS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.floats(0, 1),
        st.integers(1, 200),
        st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_reader_reads_its_own_files(target: Target, tmp_path: Path) -> None:
    for seed in target.seeds:
        assert target.fault(tmp_path, seed) is None


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(edits=EDITS, data=st.data())
def test_a_broken_file_ends_in_a_sentence(
    target: Target, tmp_path_factory: pytest.TempPathFactory, edits: list[Edit], data: st.DataObject
) -> None:
    seeds = target.seeds
    seed = seeds[data.draw(st.integers(0, len(seeds) - 1))]
    folder = tmp_path_factory.getbasetemp() / f"fuzz-{target.name}"
    folder.mkdir(exist_ok=True)
    assert target.fault(folder, mutated(seed, edits)) is None
