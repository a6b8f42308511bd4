"""A server around a model that needs no network: bright pixels are one class, dark ones another."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from aaff.labels import UInt8Array
from aaff.preprocess import Size
from aaff.runtime import Segmenter
from aaff.server import Limits, Settings, create_app
from tests.runtime.conftest import ThresholdEngine

LIMITS = Limits(image_mb=1, video_mb=1, pixels=100_000, requests=4, jobs=2, live=1, seconds=20)


class SlowEngine(ThresholdEngine):
    """Waits before every batch until it may go; ``began`` says that it waits."""

    def __init__(self) -> None:
        super().__init__(Size(16, 12))
        self.go, self.began = threading.Event(), threading.Event()

    def infer(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array | None]:
        self.began.set()
        assert self.go.wait(20)
        return super().infer(frames)


def client_of(engine: ThresholdEngine, settings: Settings = Settings(limits=LIMITS)) -> TestClient:
    """A client of a new server that calls itself localhost, as a browser would."""
    app = create_app({"light": lambda: Segmenter(engine)}, settings)
    return TestClient(app, base_url="http://localhost:8000", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with client_of(ThresholdEngine()) as client:
        yield client


@pytest.fixture
def slow() -> Iterator[SlowEngine]:
    engine = SlowEngine()
    yield engine
    engine.go.set()


@pytest.fixture(scope="session")
def picture() -> UInt8Array:
    """24×18, its right third bright."""
    image = np.full((18, 24, 3), 10, np.uint8)
    image[:, 16:] = 250
    return image


@pytest.fixture(scope="session")
def png(picture: UInt8Array) -> bytes:
    return as_file(picture)


LIVE = "ws://localhost:8000/v1/live"


def as_file(picture: UInt8Array, kind: str = "png") -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, kind)
    return data.getvalue()


def as_picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))
