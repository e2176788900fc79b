"""A service in miniature: trees, rounds and receipts made by the recursive definition of RFC 9162."""

from __future__ import annotations

import base64
from typing import Any, Sequence

from antequem.formats import (
    checkpoint_leaf,
    commitment,
    encode_entry,
    format_time,
    hash_leaf,
    link_leaf,
    log_id,
    sha256,
)

LOG = "log.example.org/logs/demo"
BEACON = ("eip155:31337", 5, b"\x55" * 32)


def tree_root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = _half(len(leaves))
    return sha256(b"\x01", tree_root(leaves[:half]), tree_root(leaves[half:]))


def tree_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*tree_path(index, leaves[:half]), tree_root(leaves[half:])]
    return [*tree_path(index - half, leaves[half:]), tree_root(leaves[:half])]


def _half(size: int) -> int:
    half = 1
    while half * 2 < size:
        half *= 2
    return half


def make_receipt(index: int = 2, count: int = 5, anchors: Sequence[Any] = ()) -> tuple[bytes, dict[str, Any]]:
    """The content of an entry, and a receipt of it that holds together. Unsigned."""
    previous = log_id(LOG)
    leaves, entries = [], []
    for i in range(count):
        payload, nonce, at = f"entry {i}".encode(), bytes([i]) * 16, 1_795_000_000_000 + i
        leaf = hash_leaf(encode_entry(at, previous, commitment(sha256(payload), nonce)))
        entries.append((payload, nonce, at, previous))
        leaves.append(leaf)
        previous = leaf
    payload, nonce, at, before = entries[index]
    root = tree_root(leaves)
    closed_at, previous_root = 1_795_000_001_000, b"\x11" * 32
    own = checkpoint_leaf(log_id(LOG), count, root)
    other = checkpoint_leaf(b"\xff" * 32, 3, b"\x22" * 32)
    round_leaves = [hash_leaf(leaf) for leaf in (link_leaf(7, closed_at, previous_root, [BEACON]), own, other)]
    signature = base64.b64encode(bytes(4) + bytes(64)).decode()
    return payload, {
        "format": "antequem-receipt/v1",
        "entry": {
            "log": LOG,
            "index": index,
            "receivedAt": format_time(at),
            "digest": sha256(payload).hex(),
            "nonce": nonce.hex(),
            "previous": before.hex(),
        },
        "inclusion": {"treeSize": count, "path": [each.hex() for each in tree_path(index, leaves)]},
        "checkpoint": f"{LOG}\n{count}\n{base64.b64encode(root).decode()}\n\n— {LOG} {signature}\n",
        "round": {
            "number": 7,
            "closedAt": format_time(closed_at),
            "root": tree_root(round_leaves).hex(),
            "size": 3,
            "index": 1,
            "path": [each.hex() for each in tree_path(1, round_leaves)],
            "link": {
                "previousRoot": previous_root.hex(),
                "beacons": [{"chain": BEACON[0], "height": BEACON[1], "hash": f"0x{BEACON[2].hex()}"}],
                "path": [each.hex() for each in tree_path(0, round_leaves)],
            },
        },
        "anchors": list(anchors),
    }
