"""Who may use a server, and what a browser may do with what it sends."""

from __future__ import annotations

import base64

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from aaff.errors import OptionError
from aaff.server import Limits, Settings
from tests.runtime.conftest import ThresholdEngine
from tests.server.conftest import LIMITS, LIVE, client_of


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("192.168.1.7:8000", 403),
        ("", 403),
        ("[", 403),
        ("localhost/evil.example", 403),
        ("evil@localhost", 403),
    ],
)
def test_only_the_names_of_this_machine_are_known(client: TestClient, host: str, status: int) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == status


def test_a_public_server_is_known_by_its_addresses_and_the_names_it_is_told() -> None:
    settings = Settings("0.0.0.0", hosts=("demo.example.org",), limits=LIMITS)
    client = client_of(ThresholdEngine(), settings)
    status = {
        name: client.get("/healthz", headers={"Host": name}).status_code
        for name in ("192.168.1.7:8000", "demo.example.org", "evil.example")
    }
    assert status == {"192.168.1.7:8000": 200, "demo.example.org": 200, "evil.example": 403}


def test_a_page_of_an_allowed_site_can_read_responses(png: bytes) -> None:
    settings = Settings(origins=("https://example.org",), token="s3cret", limits=LIMITS)
    client = client_of(ThresholdEngine(), settings)
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for origin, status in (("https://example.org", 200), ("https://evil.example", 400)):
        assert client.options("/v1/segment", headers={"Origin": origin, **asked}).status_code == status
    headers = {"Origin": "https://example.org", "Authorization": "Bearer s3cret"}
    found = client.post("/v1/segment", content=png, headers=headers)
    assert (found.status_code, found.headers["Access-Control-Allow-Origin"]) == (200, "https://example.org")
    refused = client.post("/v1/segment", content=png, headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    assert "Access-Control-Allow-Origin" not in refused.headers


def test_pages_of_other_sites_are_refused(client: TestClient, png: bytes) -> None:
    def post(origin: str) -> int:
        return client.post("/v1/segment", content=png, headers={"Origin": origin}).status_code

    assert post("http://localhost:8000") == 200
    assert post("http://localhost:9000") == 403
    assert post("https://evil.example") == 403
    assert post("null") == 403
    assert post("chrome-extension://localhost:8000") == 403
    assert post("https://localhost:8000") == 200  # behind a proxy with TLS
    twice = [("Host", "localhost:8000"), ("Host", "evil.example")]
    assert client.get("/healthz", headers=twice).status_code == 403
    for origin in ("https://evil.example", "null", "http://[::1"):
        with (
            pytest.raises(WebSocketDisconnect) as refused,
            client.websocket_connect(LIVE, headers={"Origin": origin}),
        ):
            pass
        assert refused.value.code == 1008


def test_a_token_guards_all_but_the_page_and_the_health(png: bytes) -> None:
    settings = Settings(token="s3cret+/", limits=LIMITS)
    with client_of(ThresholdEngine(), settings) as client:
        for path in ("/", "/healthz", "/readyz", "/page/app.js"):
            assert client.get(path).status_code in (200, 503)
        for path in ("/v1/models", "/v1/info", "/metrics", "/openapi.json", "/v2"):
            refused = client.get(path)
            assert refused.status_code == 401
            assert "Bearer" in refused.headers["WWW-Authenticate"]
        assert client.get("/v1/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/v1/models", headers={"Authorization": "Bearer s3cret+/"}).status_code == 200
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(LIVE, subprotocols=["aaff.live"]):
            pass
        coded = base64.urlsafe_b64encode(b"s3cret+/").decode().rstrip("=")
        with client.websocket_connect(LIVE, subprotocols=["aaff.live", f"bearer.{coded}"]) as socket:
            assert socket.accepted_subprotocol == "aaff.live"
    assert "s3cret" not in repr(settings)


def test_browsers_are_told_to_keep_the_page_to_itself(client: TestClient) -> None:
    for path in ("/", "/page/app.js", "/v1/models", "/no/such/page"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/page/../settings.py", "/page/%2e%2e/settings.py", "/page//etc/passwd", "/docs", "/redoc"]
)
def test_nothing_but_the_page_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_state_is_told(png: bytes) -> None:
    with client_of(ThresholdEngine()) as client:
        check_state(client, png)


def check_state(client: TestClient, png: bytes) -> None:
    assert client.post("/v1/segment", content=png).status_code == 200
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    [model] = client.get("/v1/models").json()["models"]
    assert model["details"]["labels"]["names"] == ["dark", "bright", "never"]
    assert client.get("/v1/info").json()["pixels"] == LIMITS.pixels
    text = client.get("/metrics").text
    assert 'aaff_frames_total{model="light"} 1' in text
    assert 'aaff_requests_total{route="/v1/segment",method="POST",status="200"} 1' in text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/segment", "/v1/video", "/v1/models", "/healthz", "/readyz", "/metrics"} <= set(paths)
    assert client.delete("/v1/segment").status_code == 405


@pytest.mark.parametrize("wrong", [{"port": 70_000}, {"token": "two words"}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        Settings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(OptionError):
        Limits(pixels=0)
