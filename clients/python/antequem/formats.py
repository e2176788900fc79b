"""The bytes that are hashed (docs/formats.md): entries, trees (RFC 9162, section 2.1), leaves of rounds, paths, times."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from hashlib import sha256 as _sha256
from typing import Iterable, Optional, Sequence

from .errors import FormatError

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


def sha256(*parts: bytes) -> bytes:
    """SHA-256 of the parts one after the other: 32 bytes."""
    return _sha256(b"".join(parts)).digest()


def u64(number: int) -> bytes:
    """8 bytes, big-endian."""
    return number.to_bytes(8, "big")


def parse_time(text: str) -> int:
    """Milliseconds since the Unix epoch of exactly `YYYY-MM-DDTHH:MM:SS.sssZ`. Raises FormatError `time-invalid`."""
    if _TIME.fullmatch(text) is not None:
        try:
            moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
            if moment >= _EPOCH:
                return (moment - _EPOCH) // timedelta(milliseconds=1)
        except ValueError:
            pass
    raise FormatError("time-invalid", f"not a time of the form YYYY-MM-DDTHH:MM:SS.sssZ: {text[:40]!r}")


def format_time(ms: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS.sssZ` of milliseconds since the Unix epoch."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def commitment(digest: bytes, nonce: bytes) -> bytes:
    """What an entry commits to: SHA-256(digest ‖ nonce)."""
    return sha256(digest, nonce)


def encode_entry(received_at: int, previous: bytes, committed: bytes) -> bytes:
    """The 73 bytes of an entry: version 1, milliseconds, hash of the entry before, commitment."""
    return b"\x01" + u64(received_at) + previous + committed


def hash_leaf(data: bytes) -> bytes:
    """RFC 9162: SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00", data)


def log_id(origin: str) -> bytes:
    """SHA-256 of the log's origin."""
    return sha256(origin.encode())


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> Optional[bytes]:
    """The root of a tree of `size` leaves that holds the leaf hash at `index` (RFC 9162, section 2.1.3.2).

    None where the path does not have the one length that it can have.
    """
    if not 0 <= index < size:
        return None
    node, rest = leaf, list(path)
    while size > 1:
        if index % 2 == 1 or index < size - 1:
            if not rest:
                return None
            sibling = rest.pop(0)
            node = sha256(b"\x01", sibling, node) if index % 2 == 1 else sha256(b"\x01", node, sibling)
        index, size = index // 2, (size + 1) // 2
    return None if rest else node


def checkpoint_leaf(log: bytes, size: int, root: bytes) -> bytes:
    """The leaf of a round for one log: 0x81 ‖ log id ‖ size ‖ root."""
    return b"\x81" + log + u64(size) + root


def link_leaf(number: int, closed_at: int, previous_root: bytes, beacons: Iterable[tuple[str, int, bytes]]) -> bytes:
    """Leaf 0 of a round: 0x80 ‖ number ‖ closedAt ‖ previousRoot ‖ beacons (chain, height, hash)."""
    encoded = b"\x80" + u64(number) + u64(closed_at) + previous_root
    for chain, height, block_hash in beacons:
        name = chain.encode()
        encoded += bytes([len(name)]) + name + u64(height) + block_hash
    return encoded
