"""`antequem-receipt/v1`: reading it. Everything in a receipt is from outside: bounded and checked here, once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from .errors import FormatError
from .formats import parse_time
from .json_text import parse_json

FORMAT = "antequem-receipt/v1"
MAX_RECEIPT_BYTES = 1_048_576
MAX_ANCHORS = 16
MAX_PATH = 53

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NONCE = re.compile(r"(?:[0-9a-f]{32})?", re.ASCII)
_BLOCK_HASH = re.compile(r"(?:0x)?[0-9a-f]{64}", re.ASCII)
_EVM_HASH = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_CONTRACT = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
_CHAIN = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}", re.ASCII)
_EVM_CHAIN = re.compile(r"eip155:(?:0|[1-9][0-9]{0,31})", re.ASCII)
_LOG = re.compile(r"[a-z0-9][a-z0-9.:/~_-]*/logs/(?:_system|[a-z0-9][a-z0-9._-]{0,62})", re.ASCII)


@dataclass(frozen=True)
class ReceiptEntry:
    #: Origin of the log.
    log: str
    index: int
    #: As it stands in the receipt, and in milliseconds since the Unix epoch.
    received_at: str
    received_at_ms: int
    digest: bytes
    nonce: bytes
    previous: bytes


@dataclass(frozen=True)
class Beacon:
    #: CAIP-2.
    chain: str
    height: int
    #: 32 bytes, of Bitcoin in RPC order.
    hash: bytes


@dataclass(frozen=True)
class Round:
    number: int
    closed_at: str
    closed_at_ms: int
    root: bytes
    size: int
    index: int
    path: Sequence[bytes]
    previous_root: bytes
    beacons: Sequence[Beacon]
    link_path: Sequence[bytes]


@dataclass(frozen=True)
class EvmAnchor:
    chain: str
    contract: str
    transaction: str
    #: `submitted`, `included` or `finalized`: a hint.
    status: str
    #: Number, hash (0x-hex) and time of the block that the receipt claims; None while it claims none.
    block: Optional[tuple[int, str, str]]


@dataclass(frozen=True)
class OtherAnchor:
    """An anchor that this verifier does not check: OpenTimestamps, or a type that it does not know."""

    type: str


Anchor = Union[EvmAnchor, OtherAnchor]


@dataclass(frozen=True)
class Receipt:
    entry: ReceiptEntry
    tree_size: int
    path: Sequence[bytes]
    #: A signed note.
    checkpoint: str
    #: None before the round closed.
    round: Optional[Round]
    anchors: Sequence[Anchor]


def parse_receipt(source: Union[str, bytes, Mapping[str, Any]]) -> Receipt:
    """Reads a receipt: its JSON text, or what a JSON parser made of that.

    Checks the form alone, not whether its hashes hold together.
    Raises FormatError `receipt-invalid` (the message names the place) or `receipt-ambiguous`.
    """
    json = parse_json(source, MAX_RECEIPT_BYTES, "receipt-invalid") if isinstance(source, (str, bytes)) else source
    whole = _Place(json, "")
    # `storedPath` helps to ask a contract, and proves nothing by itself.
    whole.only("format", "entry", "inclusion", "checkpoint", "expectedBy", "round", "storedPath", "anchors")
    if whole.text("format") != FORMAT:
        raise whole.fault("format", f"not {FORMAT}")
    entry = whole.inner("entry")
    entry.only("log", "index", "receivedAt", "digest", "nonce", "previous")
    inclusion = whole.inner("inclusion")
    inclusion.only("treeSize", "path")
    if whole.has("expectedBy"):
        whole.time("expectedBy")
    if not whole.has("round") and whole.has("anchors"):
        raise whole.fault("anchors", "no anchors without a round")
    if not whole.has("round") and whole.has("storedPath"):
        raise whole.fault("storedPath", "no such field in a receipt")
    return Receipt(
        entry=ReceiptEntry(
            log=entry.match("log", _LOG, most=400),
            index=entry.count("index", 0),
            received_at=entry.text("receivedAt"),
            received_at_ms=entry.time("receivedAt"),
            digest=bytes.fromhex(entry.match("digest", _HASH)),
            nonce=bytes.fromhex(entry.match("nonce", _NONCE)),
            previous=bytes.fromhex(entry.match("previous", _HASH)),
        ),
        tree_size=inclusion.count("treeSize", 1),
        path=inclusion.hashes("path"),
        checkpoint=whole.text("checkpoint", most=262_144),
        round=_round(whole.inner("round")) if whole.has("round") else None,
        anchors=[_anchor(each) for each in whole.each("anchors", MAX_ANCHORS)] if whole.has("round") else [],
    )


def _round(place: _Place) -> Round:
    place.only("number", "closedAt", "root", "size", "index", "path", "link")
    link = place.inner("link")
    link.only("previousRoot", "beacons", "path")
    return Round(
        number=place.count("number", 1),
        closed_at=place.text("closedAt"),
        closed_at_ms=place.time("closedAt"),
        root=bytes.fromhex(place.match("root", _HASH)),
        size=place.count("size", 2),
        index=place.count("index", 1),
        path=place.hashes("path"),
        previous_root=bytes.fromhex(link.match("previousRoot", _HASH)),
        beacons=[_beacon(each) for each in link.each("beacons", 3)],
        link_path=link.hashes("path"),
    )


def _beacon(place: _Place) -> Beacon:
    place.only("chain", "height", "hash")
    text = place.match("hash", _BLOCK_HASH)
    return Beacon(
        chain=place.match("chain", _CHAIN),
        height=place.count("height", 0),
        hash=bytes.fromhex(text[2:] if text.startswith("0x") else text),
    )


def _anchor(place: _Place) -> Anchor:
    # Members that are not known here are those of a newer service: they are passed over.
    kind = place.text("type")
    if kind != "evm":
        return OtherAnchor(type=kind)
    status = place.text("status")
    if status not in ("submitted", "included", "finalized"):
        raise place.fault("status", "none of submitted, included, finalized")
    block = None
    if status != "submitted":
        named = place.inner("block")
        named.time("time")
        block = (named.count("number", 0), named.match("hash", _EVM_HASH), named.text("time"))
    return EvmAnchor(
        chain=place.match("chain", _EVM_CHAIN),
        contract=place.match("contract", _CONTRACT),
        transaction=place.match("transaction", _EVM_HASH),
        status=status,
        block=block,
    )


class _Place:
    """An object within the receipt, and where it stands."""

    def __init__(self, json: Any, path: str) -> None:
        if not isinstance(json, dict):
            raise FormatError("receipt-invalid", f"not a receipt ({FORMAT}): {path or 'the text'}: not a JSON object")
        self._json: dict[str, Any] = json
        self._path = path

    def fault(self, name: str, why: str) -> FormatError:
        where = f"{self._path}.{name}" if self._path else name
        return FormatError("receipt-invalid", f"not a receipt ({FORMAT}): {where}: {why}")

    def has(self, name: str) -> bool:
        return name in self._json

    def only(self, *names: str) -> None:
        for name in self._json:
            if name not in names:
                raise self.fault(name[:100], "no such field in a receipt")

    def _value(self, name: str, fits: Callable[[Any], bool], what: str) -> Any:
        value = self._json.get(name)
        if not fits(value):
            raise self.fault(name, f"missing, or not {what}")
        return value

    def text(self, name: str, most: int = 10_000) -> str:
        return str(
            self._value(
                name, lambda v: isinstance(v, str) and 0 < len(v) <= most, f"a text of at most {most} characters"
            )
        )

    def match(self, name: str, pattern: re.Pattern[str], most: int = 10_000) -> str:
        fits = lambda v: isinstance(v, str) and len(v) <= most and pattern.fullmatch(v) is not None  # noqa: E731
        return str(self._value(name, fits, f"of the form {pattern.pattern}"))

    def count(self, name: str, least: int) -> int:
        fits = lambda v: isinstance(v, int) and not isinstance(v, bool) and least <= v < 2**53  # noqa: E731
        return int(self._value(name, fits, f"a whole number from {least} on"))

    def time(self, name: str) -> int:
        try:
            return parse_time(self.text(name))
        except FormatError:
            raise self.fault(name, "not a time of the form YYYY-MM-DDTHH:MM:SS.sssZ") from None

    def hashes(self, name: str) -> list[bytes]:
        fits = lambda v: (
            isinstance(v, list)
            and len(v) <= MAX_PATH
            and all(  # noqa: E731
                isinstance(each, str) and _HASH.fullmatch(each) is not None for each in v
            )
        )
        return [bytes.fromhex(each) for each in self._value(name, fits, f"at most {MAX_PATH} hashes of 32 bytes")]

    def inner(self, name: str) -> _Place:
        return _Place(self._json.get(name), f"{self._path}.{name}" if self._path else name)

    def each(self, name: str, most: int) -> list[_Place]:
        items = self._value(name, lambda v: isinstance(v, list) and len(v) <= most, f"a list of at most {most}")
        return [
            _Place(item, f"{self._path}.{name}.{i}" if self._path else f"{name}.{i}") for i, item in enumerate(items)
        ]
