"""``/v1/video``: a job from upload to result, cancelled, refused, removed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fastapi.testclient import TestClient

from aaff.video import VideoWriter
from tests.fuzz.jobs import fuzz
from tests.server.conftest import SlowEngine, client_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Six frames, 48×32, that become brighter."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with VideoWriter(path) as writer:
        for frame in range(6):
            writer.write(np.full((32, 48, 3), 40 * frame, np.uint8))
    return path.read_bytes()


def finished(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    for _ in range(400):
        now: dict[str, Any] = client.get(f"/v1/video/{job['id']}").json()
        if now["state"] not in ("queued", "running"):
            return now
        time.sleep(0.05)
    pytest.fail(f"the job did not end: {now}")


def folders(client: TestClient) -> list[Path]:
    return list(Path(client.app.state.jobs._place.name).iterdir())  # type: ignore[attr-defined]


def test_a_video_becomes_a_video(client: TestClient, clip: bytes, tmp_path: Path) -> None:
    started = client.post("/v1/video?form=side", content=clip, headers={"Content-Type": "video/mp4"})
    assert (started.status_code, started.headers["Location"]) == (202, f"/v1/video/{started.json()['id']}")
    job = finished(client, started.json())
    assert (job["state"], job["frames"], job["error"], job["problems"]) == ("done", 6, None, [])
    result = client.get(job["result"])
    assert result.headers["content-type"] == "video/mp4"
    (tmp_path / "result.mp4").write_bytes(result.content)
    with av.open(str(tmp_path / "result.mp4")) as video:
        assert (video.streams.video[0].frames, video.streams.video[0].width) == (6, 96)
    lines = client.get(job["result"], headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(6))
    assert "tmp" not in lines[0]
    assert client.delete(f"/v1/video/{job['id']}").status_code == 204
    assert client.get(f"/v1/video/{job['id']}").status_code == 404
    assert folders(client) == []


def test_jobs_are_bounded_and_can_be_cancelled(slow: SlowEngine, clip: bytes) -> None:
    with client_of(slow) as client:
        jobs = [client.post("/v1/video", files={"file": ("../x.mp4", clip)}).json() for _ in range(2)]
        assert slow.began.wait(20)
        refused = client.post("/v1/video", content=clip)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert client.get(f"/v1/video/{jobs[1]['id']}/result").status_code == 404
        place = Path(client.app.state.jobs._place.name)  # type: ignore[attr-defined]
        for job in jobs:
            assert client.delete(f"/v1/video/{job['id']}").status_code == 204
        slow.go.set()
        for _ in range(400):
            if not folders(client):
                break
            time.sleep(0.05)
        assert folders(client) == []
    assert not place.exists()


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"#EXTM3U\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"]
)
def test_what_is_not_a_video_leaves_nothing(client: TestClient, data: bytes) -> None:
    found = client.post("/v1/video", content=data)
    assert found.status_code in (400, 422)
    assert "aaff-serve" not in found.text
    assert folders(client) == []


def test_limits_of_a_video(client: TestClient, clip: bytes, tmp_path: Path) -> None:
    assert client.post("/v1/video", content=bytes(1_000_001)).status_code == 413
    assert client.post("/v1/video?model=none", content=clip).status_code == 404
    assert client.post("/v1/video?classes=none", content=clip).status_code == 422
    with VideoWriter(tmp_path / "large.mp4") as writer:
        writer.write(np.zeros((300, 400, 3), np.uint8))
    found = client.post("/v1/video", content=(tmp_path / "large.mp4").read_bytes())
    assert found.status_code == 413
    assert folders(client) == []


def test_jobs_in_any_order_of_sound_and_broken_videos_leave_no_fault() -> None:
    found = fuzz(sessions=12)
    assert found.faults == {}
    assert found.counts["results compared"] > 0
