"""``aaff serve`` as a process and as a thread: it starts, says where it is, and ends in good order."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from websockets.sync.client import connect

import aaff.server.connections
import aaff.server.run
from aaff.cli import main
from aaff.runtime import Segmenter
from aaff.server import Settings, create_app
from tests.runtime.conftest import ThresholdEngine
from tests.server.browser import running
from tests.server.conftest import LIMITS, SlowEngine


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path, png: bytes) -> None:
    words = ["serve", "--port", "0", "--model", "street", "--threads", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "aaff", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            page = line.split()[1]
            assert "street" in line
            with urlopen(Request(f"{page}v1/segment", data=png)) as response:
                assert b'"confidence"' in response.read()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "no_such_model"], "no_such_model"),
        (["no_such_video.mp4"], "no_such_video.mp4"),
        (["--port", "70000"], "70000"),
        (["--limits.pixels", "0"], "pixels"),
    ],
)
def test_what_cannot_be_served_is_said(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *words]) == 2
    assert said in capsys.readouterr().err


def test_an_address_that_is_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port), "--model", "street"]) == 2
    assert str(port) in capsys.readouterr().err


def test_a_camera_and_a_video_are_shown_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(aaff.server.run, "serve", lambda app, settings, **options: begun.append(options))
    model = ["--model", "street"]
    (tmp_path / "drive.mp4").touch()
    assert main(["predict", "0", "--show", *model]) == 0
    assert main(["predict", "camera:2", "--show", *model]) == 0
    assert main(["predict", str(tmp_path / "drive.mp4"), "--show", *model]) == 0
    assert main(["serve", "--example", *model]) == 0
    assert [options["fragment"] for options in begun] == ["camera=0", "camera=2", "media", "example"]
    assert [options["browser"] for options in begun] == [True, True, True, False]
    assert main(["predict", "0", "1", "--show", *model]) == 2
    assert "--show" in capsys.readouterr().err


def test_the_end_waits_for_running_requests(slow: SlowEngine, png: bytes) -> None:
    settings = Settings(port=0, limits=LIMITS)
    found: list[int] = []

    def ask(page: str) -> None:
        with urlopen(Request(f"{page}v1/segment", data=png)) as response:
            found.append(response.status)

    with running(create_app({"light": lambda: Segmenter(slow)}, settings), settings) as page:
        asking = threading.Thread(target=ask, args=(page,))
        asking.start()
        assert slow.began.wait(20)
        threading.Timer(0.5, slow.go.set).start()
    asking.join(20)
    assert found == [200]


def test_a_client_that_leaves_or_hangs_costs_nothing(slow: SlowEngine, png: bytes) -> None:
    settings = Settings(port=0, limits=LIMITS)
    app = create_app({"light": lambda: Segmenter(slow)}, settings)
    with running(app, settings) as page:
        port = int(page.rstrip("/").rpartition(":")[2])
        head = f"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(png)}\r\n\r\n".encode()
        first = socket.create_connection(("127.0.0.1", port))
        first.sendall(head + png)
        assert slow.began.wait(20)
        hanging = socket.create_connection(("127.0.0.1", port))
        hanging.sendall(head + png[:10])
        leaving = socket.create_connection(("127.0.0.1", port))
        leaving.sendall(head + png)
        batcher = app.state.context.models.loaded["light"].batcher
        until(lambda: len(batcher) == 1)
        leaving.close()
        until(lambda: all(result.cancelled() for _, result in batcher._waiting))
        slow.go.set()
        assert first.recv(12) == b"HTTP/1.1 200"
        with urlopen(Request(f"{page}v1/segment", data=png)) as response:
            assert response.status == 200
        first.close()
        hanging.close()
    assert slow.batches == [1, 1]


def test_connections_that_never_become_a_request_are_closed(png: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aaff.server.connections, "_WAIT", 1.0)
    settings = Settings(port=0, limits=LIMITS)
    with running(create_app({"light": lambda: Segmenter(ThresholdEngine())}, settings), settings) as page:
        port = int(page.rstrip("/").rpartition(":")[2])
        with connect(f"ws://localhost:{port}/v1/live") as live:
            silent, slow, endless = (socket.create_connection(("127.0.0.1", port), 20) for _ in range(3))
            slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            with contextlib.suppress(ConnectionError):
                endless.sendall(b"GET /healthz HTTP/1.1\r\nX-Endless: " + b"a" * 4_000_000)
            for connection in (silent, slow, endless):
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(1) == b""
            time.sleep(2)
            live.send(png)
            assert live.recv(20)[:4] == bytes(4)
        with urlopen(Request(f"{page}v1/segment", data=png)) as response:
            assert response.status == 200


def until(true: Any) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
