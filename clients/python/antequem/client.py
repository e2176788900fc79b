"""A client of the API: appends entries, each once, and fetches receipts."""

from __future__ import annotations

import email.utils
import http.client
import json
import random
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Optional, Sequence, TypeVar, Union
from urllib.parse import quote, urlencode, urlsplit

from .errors import AntequemError, FormatError, ServiceError, UnreachableError
from .formats import sha256
from .json_text import parse_json
from .receipt import MAX_RECEIPT_BYTES, parse_receipt
from .transport import fetch

_MAX_ANSWER_BYTES = MAX_RECEIPT_BYTES
_BLANK = b" \t\r"
_JSON = {"content-type": "application/json"}
#: As docs/client.md has them: of one request to append.
MAX_BATCH_ENTRIES = 10_000
MAX_BATCH_BYTES = 8 << 20

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One entry that is durable. Store log, index and digest to find its receipt later."""

    #: Origin of the log.
    log: str
    index: int
    #: SHA-256 of the entry, 64 hex digits, computed here.
    digest: str
    received_at: str
    #: As the service told it; None where the entry was not the last of its batch.
    leaf_hash: Optional[str]


class Client:
    """A service. `timeout` is in seconds for one request; `give_up_after` in seconds of unbroken failure."""

    def __init__(
        self,
        url: str,
        api_key: Optional[str] = None,
        timeout: float = 60.0,
        give_up_after: float = 300.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FormatError("service-url", "not the URL of a service (http or https)")
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._timeout = timeout
        self._give_up_after = give_up_after
        self._sleep = sleep

    def log(self, name: str) -> Log:
        """A log by its name. It is made when `create` or the first `append` is called."""
        return Log(self, name)

    def holds(self) -> dict[str, Any]:
        """The legal holds of all logs: `holds`, the oldest first, and `unconfirmedSince` (docs/retention.md)."""
        return _object(self.request("GET", "/v1/holds"))

    def confirm_holds(self, ids: Sequence[str]) -> dict[str, Any]:
        """After a database was set back: these are all holds, and erasing goes on. Raises ServiceError `holds-changed`."""
        body = json.dumps({"holds": list(ids)}).encode()
        return _object(self.request("POST", "/v1/holds/confirmation", body, _JSON))

    def request(
        self,
        method: str,
        path: str,
        body: Optional[bytes] = None,
        headers: Optional[dict[str, str]] = None,
        hold: float = 0.0,
    ) -> bytes:
        """One request, sent again while what fails may pass. It must be safe to repeat.

        hold: seconds that the service may wait before it answers.
        Raises ServiceError with the problem's code, or UnreachableError.
        """
        return self._retry(lambda: self._once(method, path, body, headers or {}, hold))

    def _retry(self, task: Callable[[], T]) -> T:
        began = time.monotonic()
        wait = 0.2
        while True:
            try:
                return task()
            except (ServiceError, UnreachableError) as error:
                if isinstance(error, ServiceError) and not _is_transient(error):
                    raise
                asked = min(error.retry_after or 0.0, 60.0) if isinstance(error, ServiceError) else 0.0
                # Shortened at random, so that clients of one outage do not come back in step.
                waits = max(asked, wait * (1 - random.random() / 2))
                if time.monotonic() + waits - began > self._give_up_after:
                    raise
                self._sleep(waits)
                wait = min(2 * wait, 10.0)

    def _once(self, method: str, path: str, body: Optional[bytes], headers: dict[str, str], hold: float) -> bytes:
        all_headers = dict(headers)
        if self._api_key is not None:
            all_headers["authorization"] = f"Bearer {self._api_key}"
        request = urllib.request.Request(self._url + path, body, all_headers, method=method)
        try:
            return fetch(request, self._timeout + hold, _MAX_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                raise _problem(error) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            why = str(getattr(error, "reason", None) or error)[:200]
            raise UnreachableError("service-unreachable", f"no answer from {self._host()} ({why})") from None

    def _host(self) -> str:
        return urlsplit(self._url).hostname or ""


class Log:
    """A log of a service."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._path = f"/v1/logs/{quote(name, safe='')}"

    def create(self) -> dict[str, Any]:
        """Makes the log if it is not there, and describes it: origin, logId, verifierKey, size, root."""
        return _object(self._client.request("PUT", self._path))

    def describe(self) -> dict[str, Any]:
        """Origin, logId, verifierKey, size and root. Raises ServiceError `log-not-found`."""
        return _object(self._client.request("GET", self._path))

    def append(self, entry: Union[str, bytes]) -> Entry:
        """Appends one entry; text is sent as UTF-8. Returns when it is durable, and appends it once."""
        body = entry.encode() if isinstance(entry, str) else entry
        return self._append("entries", body, "application/octet-stream", [sha256(body)])[0]

    def append_lines(self, lines: Sequence[Union[str, bytes]]) -> list[Entry]:
        """Appends each line as an entry, all or none: at most 10,000 lines and 8 MiB.

        Raises FormatError `line-invalid` for a line that is blank or holds a newline.
        """
        encoded = [line.encode() if isinstance(line, str) else line for line in lines]
        for number, line in enumerate(encoded):
            if b"\n" in line or not line.strip(_BLANK):
                raise FormatError("line-invalid", f"line {number} is blank or holds a newline: use append for it")
        body = b"\n".join(encoded)
        if not encoded or len(encoded) > MAX_BATCH_ENTRIES or len(body) > MAX_BATCH_BYTES:
            raise FormatError("batch-size", f"1 to {MAX_BATCH_ENTRIES} lines and at most {MAX_BATCH_BYTES} bytes")
        return self._append("entries?split=lines", body, "application/octet-stream", [sha256(line) for line in encoded])

    def append_digests(self, digests: Sequence[bytes]) -> list[Entry]:
        """Appends entries by their SHA-256 digests (32 bytes each), at most 10,000: the content stays here."""
        if not 0 < len(digests) <= MAX_BATCH_ENTRIES or any(len(digest) != 32 for digest in digests):
            raise FormatError("digest-invalid", f"1 to {MAX_BATCH_ENTRIES} digests of 32 bytes each")
        return self._append("digests", b"".join(digests), "application/octet-stream", digests)

    def receipt(self, index: int, wait: float = 0, until: str = "finalized") -> dict[str, Any]:
        """The receipt of an entry, as JSON: what there is once a stage is reached, or after `wait` seconds.

        until: round, included, finalized, bitcoin, or stored (a contract can be asked about the entry). The form is checked; `verify` checks the rest.
        """
        deadline = time.monotonic() + wait
        while True:
            # Proxies give up after 60 s, as a rule.
            hold = int(max(0.0, min(50.0, deadline - time.monotonic())))
            query = f"?{urlencode({'wait': hold, 'until': until})}" if hold > 0 else ""
            text = self._client.request("GET", f"{self._path}/entries/{index}/receipt{query}", hold=hold)
            receipt = _object(text)
            if parse_receipt(receipt).entry.index != index:
                raise AntequemError("answer-contradicts", f"the service sent the receipt of another entry than {index}")
            if hold == 0 or deadline - time.monotonic() < 1 or self._has_reached(receipt, index, until):
                return receipt

    def retention(self) -> dict[str, Any]:
        """How long the log keeps its entries (`period`, None: for ever), and what was erased and is due."""
        return _object(self._client.request("GET", f"{self._path}/retention"))

    def set_retention(self, period: Optional[str]) -> dict[str, Any]:
        """Has entries erased once they are older than a period such as `400d`, `36h` or `90m`; None: kept for ever."""
        if period is None:
            return _object(self._client.request("DELETE", f"{self._path}/retention"))
        body = json.dumps({"period": period}).encode()
        return _object(self._client.request("PUT", f"{self._path}/retention", body, _JSON))

    def holds(self) -> dict[str, Any]:
        """The legal holds of the log: `holds`, the oldest first, and `unconfirmedSince` (docs/retention.md)."""
        return _object(self._client.request("GET", f"{self._path}/holds"))

    def add_hold(self, reason: str, since: Optional[datetime] = None, until: Optional[datetime] = None) -> dict[str, Any]:
        """Keeps entries from being erased that were received from `since` on and before `until`; None: without a bound.

        Each call adds one, so it is sent once: where no answer came, `holds` tells whether it was added.
        Raises ValueError for a time without a time zone.
        """
        times = {"from": since, "to": until}
        if any(time is not None and time.tzinfo is None for time in times.values()):
            raise ValueError("a time without a time zone")
        bounds = {name: time.isoformat() for name, time in times.items() if time is not None}
        body = json.dumps({**bounds, "reason": reason}).encode()
        return _object(self._client._once("POST", f"{self._path}/holds", body, _JSON, 0.0))

    def remove_hold(self, id: str) -> None:
        """Removes a hold. What it kept and is older than the log keeps it is erased by the next run."""
        self._client.request("DELETE", f"{self._path}/holds/{quote(id, safe='')}")

    def _has_reached(self, receipt: dict[str, Any], index: int, until: str) -> bool:
        if until != "stored":
            return _reached(receipt, until)
        # A receipt has a path to a later round that is stored, but does not tell whether its own round is.
        if "round" not in receipt or "storedPath" in receipt:
            return "round" in receipt
        path = _object(self._client.request("GET", f"{self._path}/entries/{index}/receipt.path"))
        return path.get("stored") is not None

    def _append(self, path: str, body: bytes, content_type: str, digests: Sequence[bytes]) -> list[Entry]:
        # One key for all attempts: an answer that was lost is given again.
        headers = {"content-type": content_type, "idempotency-key": str(uuid.uuid4())}
        try:
            text = self._client.request("POST", f"{self._path}/{path}", body, headers)
        except ServiceError as error:
            if error.code != "log-not-found":
                raise
            self.create()
            text = self._client.request("POST", f"{self._path}/{path}", body, headers)
        answer = _object(text)
        index, count = answer.get("index"), answer.get("count")
        if not isinstance(index, int) or count != len(digests) or answer.get("digest") != digests[-1].hex():
            raise AntequemError("answer-contradicts", "the service's answer is not about what was sent")
        last = len(digests) - 1
        return [
            Entry(
                log=str(answer.get("log")),
                index=index + i,
                digest=digest.hex(),
                received_at=str(answer.get("receivedAt")),
                leaf_hash=str(answer.get("leafHash")) if i == last else None,
            )
            for i, digest in enumerate(digests)
        ]


def _object(text: bytes) -> dict[str, Any]:
    answer = parse_json(text, _MAX_ANSWER_BYTES, "answer-invalid")
    if not isinstance(answer, dict):
        raise FormatError("answer-invalid", "what answers there is no Antequem service of this version")
    return answer


_STAGES = {"submitted": 0, "included": 1, "finalized": 2}


def _reached(receipt: dict[str, Any], until: str) -> bool:
    if "round" not in receipt:
        return False
    anchors = [anchor for anchor in receipt.get("anchors", []) if isinstance(anchor, dict)]
    if until == "round":
        return True
    if until == "bitcoin":
        return any(a.get("type") == "opentimestamps" and a.get("status") == "confirmed" for a in anchors)
    wanted = _STAGES.get(until, 2)
    return any(a.get("type") == "evm" and _STAGES.get(str(a.get("status")), -1) >= wanted for a in anchors)


def _is_transient(error: ServiceError) -> bool:
    # The same request is still under way: its answer will be there in a moment.
    if error.code == "idempotency-key-in-flight":
        return True
    return error.status in (408, 429) or (error.status >= 500 and error.status != 501)


def _problem(error: urllib.error.HTTPError) -> ServiceError:
    code, detail = f"http-{error.code}", f"the service answered {error.code} {error.reason}".strip()
    try:
        problem = parse_json(error.read(65_536), 65_536, "problem-invalid")
        if isinstance(problem, dict):
            code = str(problem.get("code", code))
            detail = str(problem.get("detail", problem.get("title", detail)))[:2_000]
    except (AntequemError, OSError):
        # A proxy's page in place of a problem: the status stands for it.
        pass
    return ServiceError(code, detail, error.code, _retry_after(error.headers.get("retry-after")))


def _retry_after(header: Optional[str]) -> Optional[float]:
    """RFC 9110, section 10.2.3: seconds, or a date."""
    if header is None:
        return None
    if header.isascii() and header.isdigit() and len(header) < 8:
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
