"""``/v1/live`` and ``/v2``: frames over a WebSocket, tensors over the Open Inference Protocol."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from aaff.labels import UInt8Array
from tests.server.conftest import LIVE, SlowEngine, client_of
from tests.server.test_segment import unpack


class TestLive:
    def test_frames_become_maps_and_a_bad_one_a_sentence(self, client: TestClient, png: bytes) -> None:
        with client.websocket_connect(f"{LIVE}?model=light") as socket:
            socket.send_bytes(png)
            data = socket.receive_bytes()
            assert int.from_bytes(data[:4], "little") == 0
            assert unpack(data[4:])[1].shape == (1, 12, 16)
            socket.send_bytes(b"not an image")
            problem = json.loads(socket.receive_text())
            assert (problem["status"], problem["frame"]) == (422, 1)
            socket.send_bytes(png)
            assert int.from_bytes(socket.receive_bytes()[:4], "little") == 2
        text = client.get("/metrics").text
        assert "aaff_live_clients 0" in text

    def test_the_newest_frame_comes_next_and_nothing_queues(self, slow: SlowEngine, png: bytes) -> None:
        with client_of(slow) as client, client.websocket_connect(LIVE) as socket:
            socket.send_bytes(png)
            assert slow.began.wait(20)
            for _ in range(30):
                socket.send_bytes(png)
            while "aaff_live_dropped_total 29" not in client.get("/metrics").text:
                pass
            slow.go.set()
            numbers = [int.from_bytes(socket.receive_bytes()[:4], "little") for _ in range(2)]
            assert numbers == [0, 30]
        assert slow.batches == [1, 1]

    def test_what_cannot_be_watched_is_told_by_the_code(self, client: TestClient, png: bytes) -> None:
        def code(path: str) -> int:
            with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect(path) as socket:
                socket.receive_bytes()
            return refused.value.code

        assert code(f"{LIVE}?model=none") == 1008
        with client.websocket_connect(LIVE) as socket:
            socket.send_bytes(png)
            socket.receive_bytes()
            assert code(LIVE) == 1013  # the limit of these tests is one
        with client.websocket_connect(LIVE) as socket:
            socket.send_text("no frame")
            with pytest.raises(WebSocketDisconnect):
                socket.receive_bytes()


class TestInfer:
    def test_tensors_as_numbers_and_as_bytes(self, client: TestClient, picture: UInt8Array) -> None:
        frames = np.stack([picture, 255 - picture])
        tensor = {"name": "frames", "datatype": "UINT8", "shape": list(frames.shape)}
        plain = {"id": "a", "inputs": [{**tensor, "data": frames.ravel().tolist()}]}
        found = client.post("/v2/models/light/infer", json=plain).json()
        assert (found["id"], found["model_name"]) == ("a", "light")
        maps = {output["name"]: np.array(output["data"]).reshape(output["shape"]) for output in found["outputs"]}
        assert maps["class_map"][:, 0, 0].tolist() == [0, 1]
        assert maps["confidence"].shape == (2, 18, 24)

        one = client.post("/v2/models/light/infer", json=plain | {"outputs": [{"name": "confidence"}]}).json()
        assert [output["name"] for output in one["outputs"]] == ["confidence"]
        outputs = client.get("/v2/models/light").json()["outputs"]
        assert [output["name"] for output in outputs] == list(maps)

        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        size = "Inference-Header-Content-Length"
        raw = client.post("/v2/models/light/infer", content=head + frames.tobytes(), headers={size: str(len(head))})
        body = raw.content[int(raw.headers[size]) :]
        assert body == maps["class_map"].astype(np.uint8).tobytes() + maps["confidence"].astype(np.uint8).tobytes()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"[" * 100_000,
            b'{"inputs": []}',
            b'{"inputs": [{"name": "frames", "datatype": "FP32", "shape": [1, 2, 2, 3], "data": []}]}',
            b'{"inputs": [{"name": "frames", "datatype": "UINT8", "shape": [1, 2, 2, 3], "data": [1, 2]}]}',
            b'{"inputs": [{"name": "frames", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 300]}]}',
            b'{"inputs": [{"name": "frames", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [[1], [2, 3], "a"]}]}',
            b'{"inputs": [{"name": "frames", "datatype": "UINT8", "shape": [1, 0, 1, 3], "data": []}]}',
            b'{"inputs": [{"name": "frames", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1.5, 2, 3]}]}',
            b'{"inputs": [{"name": "frames", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 3]}], '
            b'"outputs": [{"name": "logits"}]}',
        ],
    )
    def test_what_is_not_a_request_is_refused(self, client: TestClient, body: bytes) -> None:
        found = client.post("/v2/models/light/infer", content=body)
        assert found.status_code == 400
        assert found.json()["detail"]

    def test_too_many_pixels_and_other_models_are_refused(self, client: TestClient) -> None:
        tensor = {"name": "frames", "datatype": "UINT8", "shape": [9, 999, 999, 3], "data": []}
        assert client.post("/v2/models/light/infer", json={"inputs": [tensor]}).status_code == 413
        assert client.post("/v2/models/dark/infer", json={"inputs": [tensor]}).status_code == 404
        assert client.get("/v2/models/light").json()["inputs"][0]["shape"] == [-1, -1, -1, 3]
        assert client.get("/v2/models/light/ready").json()["ready"]
        assert client.get("/v2/health/ready").json() == {"ready": True}
