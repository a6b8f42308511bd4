"""Images at HTTP URLs, which are fetched only if the user gives one."""

from __future__ import annotations

import base64
import contextlib
import re
import tempfile
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from aaff.errors import DataError, brief

_TIMEOUT = 30
_LARGEST = 200_000_000
"""Maximum download size in bytes; an image within the pixel limit is hardly ever larger."""


def is_address(text: object) -> bool:
    """Whether a text is an HTTP URL.

    >>> is_address("https://example.org/a.jpg"), is_address("a.jpg")
    (True, False)
    """
    return isinstance(text, str) and text.lower().startswith(("http://", "https://"))


def split_address(address: str) -> SplitResult:
    """Split a URL into its parts.

    >>> split_address("http://[::1/a.png")
    Traceback (most recent call last):
    aaff.errors.DataError: http://[::1/a.png is not an address: Invalid IPv6 URL

    Raises:
        DataError: the text is not a valid URL.
    """
    try:
        return urlsplit(address)
    except ValueError as error:
        raise DataError(f"{brief(address)} is not an address: {error}") from error


def shown_name(address: str | Path) -> str:
    """A path, or a URL without user name and password, for display.

    >>> shown_name("rtsp://me:p@ssword@10.0.0.2/front")
    'rtsp://10.0.0.2/front'
    """
    return re.sub(r"(?<=://)[^/?#]*@", "", str(address))


def _request(address: str) -> Request:
    """The request for a URL; its user name and password become a header, which redirects do not receive."""
    parts = split_address(address)
    user, _, host = parts.netloc.rpartition("@")
    request = Request(urlunsplit(parts._replace(netloc=host)), headers={"User-Agent": "aaff"})
    if user:
        token = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


@contextlib.contextmanager
def fetched(address: str) -> Iterator[Path]:
    """Download a URL and yield it as a temporary file, named after the last part of the URL.

    A user name and a password in the URL are used for basic authentication and appear in no message.

    Raises:
        DataError: the URL cannot be read; the message says why.
    """
    last = Path(unquote(split_address(address).path)).name
    name = re.sub(r"[^\w.-]+", "_", last, flags=re.ASCII)[-100:].lstrip(".") or "image"
    shown = shown_name(address.partition("?")[0])
    with tempfile.TemporaryDirectory(prefix="aaff-") as folder:
        path = Path(folder) / name
        try:
            with urlopen(_request(address), timeout=_TIMEOUT) as response:
                data = response.read(_LARGEST + 1)
        except HTTPError as error:
            raise DataError(f"cannot fetch {shown}: the server says {error.code} {error.reason}") from error
        except (URLError, HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise DataError(f"cannot fetch {shown}: {reason}; download it and name the file") from error
        if len(data) > _LARGEST:
            raise DataError(f"{shown} is larger than {_LARGEST // 10**6} MB; download it and name the file")
        path.write_bytes(data)
        yield path
