"""The formats against the vectors that every implementation must reproduce."""

import json
import unittest
from pathlib import Path

from antequem.errors import FormatError
from antequem.formats import (
    commitment,
    encode_entry,
    format_time,
    hash_leaf,
    link_leaf,
    log_id,
    parse_time,
    root_from_path,
    sha256,
)
from antequem.note import parse_checkpoint

from .trees import tree_path, tree_root

VECTORS = Path(__file__).parents[3] / "test" / "vectors"


class Formats(unittest.TestCase):
    def setUp(self) -> None:
        self.vectors = json.loads((VECTORS / "formats.json").read_text())

    def test_entries(self) -> None:
        for entry in self.vectors["entries"]:
            committed = commitment(bytes.fromhex(entry["digest"]), bytes.fromhex(entry["nonce"]))
            encoded = encode_entry(entry["receivedAt"], bytes.fromhex(entry["previous"]), committed)
            self.assertEqual(sha256(bytes.fromhex(entry["payload"])).hex(), entry["digest"])
            self.assertEqual(committed.hex(), entry["commitment"])
            self.assertEqual(encoded.hex(), entry["entry"])
            self.assertEqual(hash_leaf(encoded).hex(), entry["leafHash"])
        self.assertEqual(log_id(self.vectors["origin"]).hex(), self.vectors["logId"])

    def test_checkpoint(self) -> None:
        head = self.vectors["checkpoint"]
        parsed = parse_checkpoint(f"{head['body']}\n— {self.vectors['origin']} AAAAAAAAAAA=\n")
        self.assertEqual(
            (parsed.origin, parsed.size, parsed.root.hex()), (self.vectors["origin"], head["size"], head["root"])
        )
        leaves = [bytes.fromhex(entry["leafHash"]) for entry in self.vectors["entries"]]
        self.assertEqual(tree_root(leaves).hex(), head["root"])
        for index, leaf in enumerate(leaves):
            self.assertEqual(root_from_path(leaf, index, len(leaves), tree_path(index, leaves)), parsed.root)

    def test_round(self) -> None:
        closed = self.vectors["round"]
        beacons = [(b["chain"], b["height"], bytes.fromhex(b["hash"])) for b in closed["beacons"]]
        link = link_leaf(closed["number"], closed["closedAt"], bytes.fromhex(closed["previousRoot"]), beacons)
        self.assertEqual(link.hex(), closed["leaves"][0])
        hashes = [hash_leaf(bytes.fromhex(leaf)) for leaf in closed["leaves"]]
        self.assertEqual([each.hex() for each in hashes], closed["leafHashes"])
        for index, leaf in enumerate(hashes):
            self.assertEqual(root_from_path(leaf, index, len(hashes), tree_path(index, hashes)).hex(), closed["root"])

    def test_inclusion_proofs(self) -> None:
        vectors = json.loads((VECTORS / "merkle.json").read_text())
        leaves = [hash_leaf(bytes.fromhex(data)) for data in vectors["data"]]
        proofs = 0
        for tree in vectors["trees"]:
            for proof in tree["inclusion"]:
                path = [bytes.fromhex(each) for each in proof["path"]]
                args = (leaves[proof["index"]], proof["index"], tree["size"])
                self.assertEqual(root_from_path(*args, path).hex(), tree["root"])
                self.assertIsNone(root_from_path(*args, [*path, bytes(32)]))
                self.assertIsNone(root_from_path(args[0], tree["size"], tree["size"], path))
                proofs += 1
        self.assertGreater(proofs, 50)

    def test_times(self) -> None:
        for ms in (0, 1, 999, 1_795_000_000_000, 253_402_300_799_999):
            self.assertEqual(parse_time(format_time(ms)), ms)
        for text in (
            "2026-02-30T00:00:00.000Z",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.0000Z",
            "2026-01-01T24:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "2026-01-01T00:00:60.000Z",
            "٢٠٢٦-01-01T00:00:00.000Z",
            "2026-01-01T00:00:00.000Z\n",
        ):
            with self.assertRaises(FormatError, msg=text):
                parse_time(text)
