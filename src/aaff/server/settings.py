"""What a server may be asked to do: its address, its guards and its limits."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, fields

from aaff.errors import OptionError

LOOPBACK = "127.0.0.1"
"""Where a server listens unless it is told otherwise: nobody outside this machine can reach it."""


@dataclass(frozen=True)
class Limits:
    """What one server takes on at once; everything beyond is refused with a sentence and ``Retry-After``.

    The worst case of memory for images is ``requests`` bodies and ``decoded`` decoded frames.
    """

    image_mb: int = 16
    """Largest image or tensor of a request, in megabytes (10⁶ bytes)."""
    video_mb: int = 500
    """Largest video, in megabytes."""
    pixels: int = 40_000_000
    """Most pixels of an image or of a frame of a video; read from the header, before anything is decoded."""
    requests: int = 96
    """Requests that may be in work or wait at once; more get 503."""
    decoded: int = 16
    """Frames that may be in memory, decoded, at once; the other requests wait with their files as they came."""
    batch: int = 8
    """Frames that the model gets at once when requests pile up."""
    seconds: float = 30.0
    """Time in which an image must be received, and time in which it must be done; else 408 and 503. Videos may take ten
    times as long to arrive, with no pause longer than this."""
    live: int = 8
    """Cameras and videos that may be watched live at once."""
    jobs: int = 4
    """Videos that may wait or run at once; more get 429. One runs at a time."""
    job_minutes: float = 60.0
    """Longest time that one video may take."""
    keep_minutes: float = 60.0
    """How long the result of a video is kept."""
    kept: int = 16
    """Finished videos that are kept; the oldest are removed first."""

    def __post_init__(self) -> None:
        for option in fields(self):
            if getattr(self, option.name) <= 0:
                raise OptionError(f"the limit {option.name.replace('_', '-')} must be above 0")


@dataclass(frozen=True)
class Settings:
    """Everything about a server but its models.

    Attributes:
        host: address that the server listens at.
        port: 0 takes a free one.
        token: what a client must send as ``Authorization: Bearer TOKEN``; empty: nothing.
        hosts: names besides its own under which the server may be asked for, such as ``demo.example.org``.
        origins: other sites whose pages may use the server, such as ``https://example.org``.
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
            raise OptionError("a token has ASCII letters, digits and signs only, and no spaces")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(name: str) -> bool:
    """Whether a host's name or address is that of this machine alone.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("192.168.1.2")
    (True, True, True, False)
    """
    if name == "localhost":
        return True
    address = as_address(name)
    return address is not None and address.is_loopback


def as_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that a text is, also in brackets; None for a name."""
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
