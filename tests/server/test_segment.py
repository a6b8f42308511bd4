"""``POST /v1/segment``: forms, limits, bad images, batches."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from aaff.labels import UInt8Array
from aaff.runtime import Segmenter
from aaff.server import Settings
from aaff.server.batching import Batcher
from aaff.server.forms import choose
from aaff.server.problems import MEDIA_TYPE, Refusal
from tests.runtime.conftest import ThresholdEngine
from tests.server.conftest import LIMITS, SlowEngine, as_file, as_picture, client_of

MAPS = "application/vnd.aaff.maps"


def unpack(data: bytes) -> tuple[dict[str, object], UInt8Array]:
    """Summary and planes of the form ``maps``, as docs/server.md describes it."""
    length = int.from_bytes(data[:4], "little")
    summary = json.loads(data[4 : 4 + length])
    size = summary["map"]["height"], summary["map"]["width"]
    return summary, np.frombuffer(zlib.decompress(data[4 + length :]), np.uint8).reshape(-1, *size)


class TestForms:
    @pytest.mark.parametrize(
        ("accept", "query", "kind"),
        [
            ("", "", "application/json"),
            ("*/*", "", "application/json"),
            ("text/html, application/json;q=0.9", "", "application/json"),
            ("image/png", "", "image/png"),
            ("image/*", "?form=overlay", "image/png"),
            ("image/jpeg", "", "image/jpeg"),
            ("image/webp, image/png;q=0.1", "?form=side", "image/webp"),
            ("*/*", "?form=map", "image/png"),
            (MAPS, "", MAPS),
        ],
    )
    def test_the_client_chooses(self, client: TestClient, png: bytes, accept: str, query: str, kind: str) -> None:
        found = client.post(f"/v1/segment{query}", content=png, headers={"Accept": accept})
        assert (found.status_code, found.headers["content-type"]) == (200, kind)
        assert "Server-Timing" in found.headers

    def test_every_form_shows_the_same_prediction(self, client: TestClient, png: bytes, picture: UInt8Array) -> None:
        expected = Segmenter(ThresholdEngine())(picture)

        def get(form: str) -> bytes:
            return client.post(f"/v1/segment?form={form}&confidence=true&legend=false", content=png).content

        index = as_picture(get("index"))
        assert index.mode == "P"
        assert np.array_equal(np.asarray(index), expected.class_map)
        assert np.array_equal(np.asarray(as_picture(get("map"))), expected.color_map())
        assert np.array_equal(np.asarray(as_picture(get("overlay"))), expected.overlay(legend=False))
        assert json.loads(get("json"))["classes"] == expected.to_dict()["classes"]
        summary, planes = unpack(get("maps"))
        assert summary["classes"] == expected.to_dict()["classes"]
        assert expected.network_map is not None
        assert np.array_equal(planes[0], expected.network_map)
        assert summary["map"] == {"width": 16, "height": 12, "planes": ["class_map", "confidence"]}

    def test_a_form_field_holds_the_file_too(self, client: TestClient, png: bytes) -> None:
        found = client.post("/v1/segment", files={"file": ("../../etc/passwd", png, "image/png")})
        assert found.json()["width"] == 24
        assert client.post("/v1/segment", files={"no": (None, b"file")}).status_code == 400

    @pytest.mark.parametrize("query", ["form=map", "form=index"])
    def test_classes_are_not_given_in_a_lossy_format(self, client: TestClient, png: bytes, query: str) -> None:
        found = client.post(f"/v1/segment?{query}", content=png, headers={"Accept": "image/jpeg"})
        assert found.status_code == 406

    def test_an_overlay_paints_what_is_asked_for(self, client: TestClient, png: bytes, picture: UInt8Array) -> None:
        found = client.post("/v1/segment?form=overlay&classes=bright&alpha=1&legend=false", content=png)
        painted = np.asarray(as_picture(found.content))
        assert (painted[:, :12] == picture[:, :12]).all()
        assert (painted[:, 20:] == (250, 220, 40)).all()

    @given(accept=st.text("*/;=.,01q imagepnjsox", max_size=40))
    @settings(max_examples=40)
    def test_any_accept_header_is_read(self, accept: str) -> None:
        try:
            form, _ = choose(accept, None)
        except Refusal as refusal:
            form = str(refusal.status)
        assert form in ("json", "index", "overlay", "maps", "406")


class TestRefusals:
    def refused(self, found: object, status: int, word: str = "") -> None:
        assert found.status_code == status, found.text  # type: ignore[attr-defined]
        assert found.headers["content-type"] == MEDIA_TYPE  # type: ignore[attr-defined]
        problem = found.json()  # type: ignore[attr-defined]
        assert problem["status"] == status
        assert word in problem["detail"]
        assert "Traceback" not in found.text  # type: ignore[attr-defined]
        assert "File " not in problem["detail"]

    @pytest.mark.parametrize(
        ("query", "status", "word"),
        [
            ("?model=lihgt", 404, "light"),
            ("?form=nonsense", 422, "form"),
            ("?alpha=7", 422, "alpha"),
            ("?form=overlay&classes=braight", 422, "bright"),
        ],
    )
    def test_options(self, client: TestClient, png: bytes, query: str, status: int, word: str) -> None:
        self.refused(client.post(f"/v1/segment{query}", content=png), status, word)

    def test_what_is_not_an_image(self, client: TestClient, png: bytes) -> None:
        self.refused(client.post("/v1/segment", content=b""), 400, "empty")
        for data in (b"hello", b"%!PS-Adobe-3.0\n", png[:60], png[:-30]):
            self.refused(client.post("/v1/segment", content=data), 422)

    def test_too_many_bytes(self, client: TestClient) -> None:
        self.refused(client.post("/v1/segment", content=bytes(1_000_001)), 413, "MB")
        chunks = (bytes(100_000) for _ in range(11))  # without a length
        self.refused(client.post("/v1/segment", content=chunks), 413, "MB")

    def test_a_small_file_of_many_pixels_is_refused_before_it_is_decoded(self, client: TestClient) -> None:
        bomb = b"\x89PNG\r\n\x1a\n"
        for kind, data in ((b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)), (b"IDAT", b"")):
            bomb += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        self.refused(client.post("/v1/segment", content=bomb), 413, "pixels")
        self.refused(client.post("/v1/segment", content=as_file(np.zeros((400, 251, 3), np.uint8))), 413, "100,000")

    def test_a_mistake_of_the_server_is_told_without_details(self, png: bytes) -> None:
        class Broken(ThresholdEngine):
            def infer(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array | None]:
                raise RuntimeError("the secret path /home/somebody")

        with client_of(Broken()) as client:
            found = client.post("/v1/segment", content=png)
            self.refused(found, 500)
            assert "secret" not in found.text

    @given(data=st.data())
    @settings(max_examples=40)
    def test_mutated_images_give_a_map_or_a_sentence(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(["png", "jpeg", "webp", "gif", "tiff", "bmp"]))
        file = bytearray(as_file(np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3), kind))
        for _ in range(data.draw(st.integers(1, 6))):
            file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
        found = _SHARED.post("/v1/segment", content=bytes(file[: data.draw(st.integers(1, len(file)))]))
        assert found.status_code in (200, 413, 422), found.text
        assert found.status_code == 200 or found.json()["detail"]


_SHARED = client_of(ThresholdEngine())


class TestLoad:
    def test_requests_that_pile_up_become_batches_and_more_are_refused(self, slow: SlowEngine, png: bytes) -> None:
        with client_of(slow) as client, ThreadPoolExecutor(8) as pool:
            first = pool.submit(client.post, "/v1/segment", content=png)
            assert slow.began.wait(20)
            others = [pool.submit(client.post, "/v1/segment", content=png) for _ in range(7)]
            busy = _first_done(others, 4)
            slow.go.set()
            found = [first.result(), *(other.result() for other in others)]
            assert [response.status_code for response in busy] == [503] * 4
            assert all(int(response.headers["Retry-After"]) > 0 for response in busy)
            assert sorted(response.status_code for response in found) == [200] * 4 + [503] * 4
        assert slow.batches == [1, 3]

    def test_a_whole_batch_that_waits_begins_before_the_other_ends(self) -> None:
        go, sizes = threading.Event(), []

        def predict(frames: Any) -> Any:
            sizes.append(len(frames))
            assert go.wait(20)
            return frames

        async def ask() -> list[Any]:
            batcher = Batcher(predict, largest=2)
            asked = [asyncio.ensure_future(batcher(number)) for number in range(6)]  # type: ignore[arg-type]
            while len(sizes) < 2:
                await asyncio.sleep(0.01)
            assert (sizes, len(batcher)) == ([1, 2], 3)
            go.set()
            found = await asyncio.gather(*asked)
            await batcher.close()
            return found

        assert asyncio.run(ask()) == list(range(6))

    def test_a_frame_whose_time_is_over_is_dropped(self, slow: SlowEngine, png: bytes) -> None:
        from dataclasses import replace

        limits = replace(LIMITS, seconds=0.5)
        with client_of(slow, Settings(limits=limits)) as client:
            found = [client.post("/v1/segment", content=png) for _ in range(2)]
            assert [response.status_code for response in found] == [503, 503]
            slow.go.set()
            assert client.post("/v1/segment", content=png).status_code == 200
        assert slow.batches == [1, 1]  # the second frame never came to the engine


def _first_done(futures: list, count: int) -> list:  # type: ignore[type-arg]
    """The results of the first futures that are done."""
    done: list = []  # type: ignore[type-arg]
    enough = threading.Event()
    lock = threading.Lock()

    def note(future: object) -> None:
        with lock:
            done.append(future.result())  # type: ignore[attr-defined]
            if len(done) >= count:
                enough.set()

    for future in futures:
        future.add_done_callback(note)
    assert enough.wait(20)
    return done[:count]
