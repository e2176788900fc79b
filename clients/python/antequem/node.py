"""A view of one EVM chain that the verifier trusts: a node, asked by JSON-RPC."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Optional, Sequence
from urllib.parse import unquote, urlsplit, urlunsplit

from .errors import AntequemError, FormatError
from .json_text import parse_json
from .transport import fetch

#: A list of a block's transactions and a receipt of ours have some hundred kilobytes at most.
_MAX_ANSWER_BYTES = 8 << 20
_QUANTITY = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,15})", re.ASCII)
_HASH = re.compile(r"0x[0-9a-f]{64}", re.ASCII)


class NodeError(AntequemError):
    """The node did not answer, in time or in form. Code `rpc-failed`."""

    def __init__(self, message: str) -> None:
        super().__init__("rpc-failed", message)


@dataclass(frozen=True)
class EvmLog:
    address: str
    topics: Sequence[str]
    data: str


@dataclass(frozen=True)
class EvmTransaction:
    block_hash: str
    block_number: int
    #: Whether it succeeded.
    succeeded: bool
    logs: Sequence[EvmLog]


@dataclass(frozen=True)
class EvmBlock:
    number: int
    #: 0x-hex, 32 bytes.
    hash: str
    #: Milliseconds since the Unix epoch.
    time: int
    transactions: Sequence[str]


class Node:
    """Asks a node. Every method raises NodeError; what the URL holds beside the host is never shown.

    url: http or https. timeout: seconds for one answer as a whole.
    confirmations: for chains whose nodes do not know the tag `finalized`: so many blocks make final, its own counts.
    Raises FormatError `rpc-url`.
    """

    def __init__(self, url: str, timeout: float = 10.0, confirmations: Optional[int] = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FormatError("rpc-url", "not the URL of a node (http or https)")
        self._host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        netloc = host if parts.port is None else f"{host}:{parts.port}"
        self._url = urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))
        self._headers = {"content-type": "application/json"}
        if parts.username is not None:
            # urllib does not take user and password from a URL.
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        self._timeout = timeout
        self._confirmations = confirmations

    def __str__(self) -> str:
        return f"the node at {self._host}"

    def chain_id(self) -> str:
        """CAIP-2, such as `eip155:1`."""
        return f"eip155:{_quantity(self._ask('eth_chainId'))}"

    def transaction(self, transaction_hash: str) -> Optional[EvmTransaction]:
        """The transaction in its block; None where the node knows it in none."""
        answer = self._ask("eth_getTransactionReceipt", transaction_hash)
        if answer is None:
            return None
        try:
            if answer["blockHash"] is None:
                return None
            status = answer.get("status")
            logs = [
                EvmLog(str(log["address"]).lower(), [str(topic) for topic in log["topics"]], str(log["data"]))
                for log in answer["logs"]
            ]
            # Receipts from before Byzantium have a root in place of a status: their logs count.
            succeeded = len(logs) > 0 if status is None else _quantity(status) == 1
            return EvmTransaction(_hash(answer["blockHash"]), _quantity(answer["blockNumber"]), succeeded, logs)
        except (KeyError, TypeError):
            raise NodeError(f"{self} answered eth_getTransactionReceipt in another form") from None

    def block(self, number: int) -> Optional[EvmBlock]:
        """The block of this height on the node's chain, None where there is none yet."""
        return self._block(hex(number))

    def finalized(self) -> int:
        """Height of the newest final block."""
        if self._confirmations is not None:
            latest = self._block("latest")
            return -1 if latest is None else latest.number + 1 - self._confirmations
        block = self._block("finalized")
        if block is None:
            raise NodeError(f"{self} names no finalized block: name a number of confirmations")
        return block.number

    def _block(self, which: str) -> Optional[EvmBlock]:
        answer = self._ask("eth_getBlockByNumber", which, False)
        if answer is None:
            return None
        try:
            transactions = [str(each) for each in answer.get("transactions", [])]
            time = _quantity(answer["timestamp"]) * 1000
            return EvmBlock(_quantity(answer["number"]), _hash(answer["hash"]), time, transactions)
        except (AttributeError, KeyError, TypeError):
            raise NodeError(f"{self} answered eth_getBlockByNumber in another form") from None

    def _ask(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._url, body, self._headers)
        try:
            text = fetch(request, self._timeout, _MAX_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            raise NodeError(f"{self} answered {method} with HTTP {error.code}") from None
        except (OSError, ValueError, AntequemError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None)
            why = "it took too long" if isinstance(error, TimeoutError) else str(reason or type(error).__name__)
            raise NodeError(f"{self} did not answer {method}: {why[:200]}") from None
        try:
            answer = parse_json(text, _MAX_ANSWER_BYTES, "rpc-failed")
        except FormatError as error:
            raise NodeError(f"{self} answered {method} in another form: {error}") from None
        if not isinstance(answer, dict) or "result" not in answer:
            problem = answer.get("error") if isinstance(answer, dict) else None
            said = str(problem.get("message", ""))[:200] if isinstance(problem, dict) else "another form"
            raise NodeError(f"{self} refused {method}: {said}")
        return answer["result"]


def _quantity(value: Any) -> int:
    if not isinstance(value, str) or _QUANTITY.fullmatch(value) is None:
        raise NodeError("the node answered with something that is no number")
    return int(value, 16)


def _hash(value: Any) -> str:
    if not isinstance(value, str) or _HASH.fullmatch(value) is None:
        raise NodeError("the node answered with something that is no hash")
    return value
