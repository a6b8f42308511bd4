"""Settings of a server: address, access and limits."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, fields

from aaff.errors import OptionError

LOOPBACK = "127.0.0.1"
"""Default address to listen on, which only this machine can reach."""


@dataclass(frozen=True)
class Limits:
    """Limits of one server; requests beyond them are rejected with a message and ``Retry-After``.

    Images take at most the memory of ``requests`` bodies and ``decoded`` decoded frames.
    """

    image_mb: int = 16
    """Largest image or tensor in a request, in megabytes (10⁶ bytes)."""
    video_mb: int = 500
    """Largest video, in megabytes."""
    pixels: int = 40_000_000
    """Largest number of pixels of an image or video frame, checked before decoding."""
    requests: int = 96
    """Maximum number of requests in progress or queued; more are answered with status 503."""
    decoded: int = 16
    """Maximum number of decoded frames in memory; other requests wait with their images still encoded."""
    batch: int = 8
    """Maximum batch size of the model under load."""
    seconds: float = 30.0
    """Seconds in which an image must be received (else status 408), and in which it must be processed (else 503).
    A video may take ten times as long to arrive, but without a pause longer than this."""
    live: int = 8
    """Maximum number of live streams (cameras and videos)."""
    jobs: int = 4
    """Maximum number of queued and running video jobs, of which one runs at a time; more get status 429."""
    job_minutes: float = 60.0
    """Maximum duration of one video job, in minutes."""
    keep_minutes: float = 60.0
    """Minutes for which the result of a video job is kept."""
    kept: int = 16
    """Maximum number of finished video jobs to keep; the oldest are removed first."""

    def __post_init__(self) -> None:
        for option in fields(self):
            if getattr(self, option.name) <= 0:
                raise OptionError(f"the limit {option.name.replace('_', '-')} must be above 0")


@dataclass(frozen=True)
class Settings:
    """All settings of a server except its models.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 picks a free port.
        token: token that clients must send as ``Authorization: Bearer TOKEN``; empty: none.
        hosts: further host names to accept in requests, such as ``demo.example.org``.
        origins: other web sites whose pages may use the server, such as ``https://example.org``.
        limits: see ``Limits``.
    """

    host: str = LOOPBACK
    port: int = 8000
    token: str = field(default="", repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise OptionError(f"port {self.port} is not a port; it must be in 0–65535")
        if self.token and (not self.token.isascii() or not self.token.isprintable() or " " in self.token):
            raise OptionError("a token must consist of printable ASCII characters without spaces")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(name: str) -> bool:
    """Whether a host name or address is a loopback address of this machine.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("192.168.1.2")
    (True, True, True, False)
    """
    if name == "localhost":
        return True
    address = as_address(name)
    return address is not None and address.is_loopback


def as_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse an IP address, optionally in brackets; None for a host name."""
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
