import subprocess
import sys

import pytest

import aaff.data


def test_every_public_name_is_there() -> None:
    assert all(getattr(aaff.data, name) is not None for name in aaff.data.__all__)
    assert set(aaff.data.__all__) <= set(dir(aaff.data))
    with pytest.raises(AttributeError, match="open_datset"):
        _ = aaff.data.open_datset


def test_the_public_names_need_no_torch() -> None:
    code = "import sys, aaff.data; [getattr(aaff.data, n) for n in aaff.data.__all__]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
