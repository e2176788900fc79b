"""HTTP by the standard library: no redirect is followed, answers are bounded in bytes and in time."""

from __future__ import annotations

import urllib.request
from time import monotonic
from typing import Any, Optional

from .errors import AntequemError


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key of the service would go to wherever a redirect leads."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> Optional[Any]:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def fetch(request: urllib.request.Request, timeout: float, most: int) -> bytes:
    """The body of the answer, at most `most` bytes, within about `timeout` seconds.

    Raises what urllib raises (a redirect is an HTTPError), TimeoutError, or AntequemError `answer-too-large`.
    """
    deadline = monotonic() + timeout
    chunks: list[bytes] = []
    length = 0
    with _OPENER.open(request, timeout=timeout) as response:
        while True:
            chunk = response.read1(65_536)
            if not chunk:
                return b"".join(chunks)
            length += len(chunk)
            if length > most:
                raise AntequemError("answer-too-large", f"the answer has more than {most} bytes")
            if monotonic() > deadline:
                raise TimeoutError(f"no whole answer within {timeout} seconds")
            chunks.append(chunk)
