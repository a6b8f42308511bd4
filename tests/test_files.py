"""Files are complete or absent, on file systems and under names that people have."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aaff.data import open_dataset
from aaff.errors import AaffError, DataError
from aaff.files import (
    TEMPORARY,
    check_writable,
    is_unfinished,
    new_folder,
    remove_stale,
    replacing,
    write_json,
    write_text,
)

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions, pipes and locks")


def test_a_failed_block_changes_nothing(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new ü", encoding="ascii")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@posix
def test_the_umask_decides_and_chmod_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    for name in ("chmod", "fchmod"):
        monkeypatch.setattr(os, name, refuse)
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "")
        with replacing(tmp_path / "b", mode=0o600):
            pass
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o640, 0o600]


@pytest.mark.parametrize("name", ["路" * 83 + ".json", "a" * 250 + ".json", "a." + "b" * 253])
def test_a_name_that_fits_is_written(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "x")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["a" * 300, "file/below", "loop", "folder"])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(AaffError, match=name):
        write_text(tmp_path / name, "x")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "loop"]


@posix
def test_a_device_and_a_pipe_are_written_to(tmp_path: Path) -> None:
    write_json("/dev/null", {})
    assert Path("/dev/null").is_char_device()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join()
    assert read == ["through"]
    assert pipe.is_fifo()


@posix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_keeps_its_order(tmp_path: Path, name: str) -> None:
    if not os.path.exists(name):
        pytest.skip(f"no {name} here")
    code = f"from aaff.files import write_text; print(1); write_text({name!r}, '2\\n'); print(3)"
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "1\n2\n3\n"


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/file")
    for text in "ab":  # at first the link leads nowhere
        write_text(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "there" / "file").read_text() == text


def test_what_cannot_be_written_is_found_out_before(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in ("new.json", "new/folder/a.json", "file"):
        check_writable(tmp_path / path)
    assert os.listdir(tmp_path) == ["file"]
    for path in (tmp_path / "file" / "a.json", tmp_path / ("n" * 300) / "a", tmp_path):
        with pytest.raises(AaffError):
            check_writable(path)


@posix
def test_only_what_nobody_writes_any_more_is_stale(tmp_path: Path) -> None:
    killed = (
        "import os, signal, sys; from aaff.files import replacing, new_folder\n"
        "with replacing(sys.argv[1] + '/a.png') as a, new_folder(sys.argv[1] + '/b') as b:\n"
        "    (b / 'frame').touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False)
    left = os.listdir(tmp_path)
    assert len(left) == 2
    assert all(TEMPORARY.fullmatch(name) for name in left)
    (tmp_path / ".aaff-mine").touch()
    with replacing(tmp_path / "c.png"):
        remove_stale(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".aaff-mine", "c.png"]


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path, made: bool) -> None:
    root = tmp_path / "data"
    if made:
        root.mkdir()
    with pytest.raises(AaffError), new_folder(root) as temporary:
        [(temporary / "train").mkdir() for _ in range(2)]
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == (["data"] if made else [])
    with new_folder(root) as temporary:
        (temporary / "train").mkdir()
        assert not (root / "train").exists()
    assert os.listdir(tmp_path) == ["data"]
    assert os.listdir(root) == ["train"]
    with pytest.raises(DataError, match="data"), new_folder(root):
        pass


@posix
def test_a_folder_whose_writer_was_killed_while_it_moved_counts_as_unfinished(tmp_path: Path) -> None:
    killed = (
        "import os, signal, sys; from aaff.files import new_folder; rename = os.rename\n"
        "os.rename = lambda a, b: rename(a, b) if 'annot' in str(b) else os.kill(os.getpid(), signal.SIGKILL)\n"
        "with new_folder(sys.argv[1]) as b:\n"
        "    [(b / name).mkdir() for name in ('annot', 'zoo')]"
    )
    subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False)
    assert (tmp_path / "annot").is_dir()
    assert is_unfinished(tmp_path)
    with pytest.raises(DataError, match="incomplete"):
        open_dataset(tmp_path, "train")
    (tmp_path / "zoo").mkdir()  # somebody else's
    remove_stale(tmp_path)
    assert os.listdir(tmp_path) == ["zoo"]
    assert not is_unfinished(tmp_path)
