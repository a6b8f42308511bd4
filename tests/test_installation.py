"""The command that an error names fits how aaff was installed."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from aaff import installation
from aaff.installation import install_command, pip_install


class Installed:
    """The metadata of one way to install a package."""

    requires = ("numpy>=1", 'torch>=2.6; extra == "train"', "safetensors>=0.5; extra == 'train'", "av; extra == 'x'")

    def __init__(self, record: object) -> None:
        self.record = record

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.record is None else json.dumps(self.record)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    def set_record(record: object) -> None:
        monkeypatch.setattr(metadata, "distribution", lambda name: Installed(record))

    return set_record


def test_from_a_folder(installed, tmp_path: Path) -> None:
    installed({"url": tmp_path.as_uri(), "dir_info": {}})
    assert install_command("train").endswith(f'install "{tmp_path}[train]"')
    installed({"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    assert install_command("train").endswith(f'install -e "{tmp_path}[train]"')


def test_from_a_wheel_that_is_still_there(installed, tmp_path: Path) -> None:
    wheel = tmp_path / "aaff 1.whl"
    wheel.touch()
    installed({"url": wheel.as_uri(), "archive_info": {}})
    assert install_command("quantize").endswith(f'install "{wheel}[quantize]"')


def test_from_a_repository(installed) -> None:
    installed({"url": "https://example.org/aaff.git", "vcs_info": {"vcs": "git", "commit_id": "0" * 40}})
    assert install_command("train").endswith('"aaff[train] @ git+https://example.org/aaff.git"')


@pytest.mark.parametrize("record", [None, {"url": "file:///no/such/folder"}, "not a record", {"url": 3}])
def test_where_the_origin_is_gone_the_packages_are_named(installed, record: object) -> None:
    installed(record)
    assert install_command("train").endswith('install "torch>=2.6" "safetensors>=0.5"')


def test_not_installed_but_run_from_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    assert install_command("train").endswith(f'install -e "{installation._SOURCE}[train]"')


def test_the_pip_of_another_environment_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.shutil, "which", lambda name: "/usr/bin/pip" if name == "pip" else None)
    monkeypatch.setattr(installation.sys, "executable", "/home/me/env/bin/python")
    assert pip_install("av") == "/home/me/env/bin/python -m pip install av"
