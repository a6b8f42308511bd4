"""Where a number comes from."""

from __future__ import annotations

import getpass
import hashlib
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from aaff import __version__, provenance
from aaff.errors import AaffError

ROOT = Path(__file__).parents[1]


def test_tells_versions_machine_and_date() -> None:
    told = provenance.provenance()
    assert told["aaff"] == __version__
    assert told["versions"]["numpy"] == np.__version__
    assert told["cores"] >= 1
    assert set(told["instructions"]) <= set(provenance.INSTRUCTIONS)
    assert told["python"] == platform.python_version()
    age = datetime.now(UTC) - datetime.fromisoformat(told["date"])
    assert timedelta(seconds=-1) <= age < timedelta(minutes=1)


def test_is_json_and_names_no_person_or_place() -> None:
    text = json.dumps(provenance.provenance())
    assert str(ROOT) not in text
    assert str(Path.home()) not in text
    assert platform.node() not in text.replace(platform.machine(), "")
    if len(getpass.getuser()) > 4:  # a short name such as "root" may be part of another word
        assert getpass.getuser() not in text


def test_commit_is_that_of_the_checkout() -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    expected = head.stdout.strip() or None
    told = provenance.commit()
    assert (told or "").removesuffix("+changes") == (expected or "")


def test_changes_are_those_of_the_package_and_not_of_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, result = tmp_path / "src" / "aaff" / "provenance.py", tmp_path / "results" / "answer.json"
    for path in (module, result):
        path.parent.mkdir(parents=True)
        path.write_text("1", encoding="utf-8")
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "__file__", str(module))
    result.write_text("2", encoding="utf-8")
    assert len(provenance.commit() or "") == 40
    module.write_text("2", encoding="utf-8")
    assert (provenance.commit() or "").endswith("+changes")


def test_no_commit_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # somebody else's repository around us
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "venv" / "site-packages" / "aaff" / "provenance.py"))
    assert provenance.commit() is None


def test_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert provenance.provenance()["threads"] == 7


def test_imports_none_of_the_packages_it_names() -> None:
    code = (
        "import sys; from aaff.provenance import provenance; provenance(); "
        "print([m for m in ('torch', 'openvino', 'onnxruntime', 'onnx', 'nncf', 'cv2', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_file_hash(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"\x00\x01" * 70_000)
    assert provenance.file_hash(file) == hashlib.sha256(b"\x00\x01" * 70_000).hexdigest()


def test_hash_of_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(AaffError, match=r"cannot read .*gone"):
        provenance.file_hash(tmp_path / "gone")
