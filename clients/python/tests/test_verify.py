"""The verdict: genuine receipts, every digit changed, nodes that know, do not know, lie or fail."""

import copy
import json
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Callable, Dict, Optional

from antequem import FormatError, Node, parse_receipt, verify
from antequem.formats import format_time

from .trees import BEACON, LOG, make_receipt

TOPIC = "0xee1610244dfc4b116b1433dd4459fd7b1d3d2bf737a05fc3f6d8f173005d7147"
CONTRACT, TRANSACTION = "0x" + "c0" * 20, "0x" + "7a" * 32
BLOCK = {"number": "0x9", "hash": "0x" + "b1" * 32, "timestamp": hex(1_795_000_010), "transactions": [TRANSACTION]}
ANCHOR = {
    "type": "evm",
    "chain": "eip155:31337",
    "contract": CONTRACT,
    "transaction": TRANSACTION,
    "status": "finalized",
    "block": {"number": 9, "hash": BLOCK["hash"], "time": format_time(1_795_000_010_000)},
}


class FakeChain:
    """Answers JSON-RPC as a node would; a test replaces single answers."""

    def __init__(self, root: str) -> None:
        logs = [{"address": CONTRACT, "topics": [TOPIC, "0x" + "0" * 64, f"0x{root}"], "data": "0x"}]
        self.receipt: Optional[Dict[str, Any]] = {
            "blockHash": BLOCK["hash"],
            "blockNumber": BLOCK["number"],
            "status": "0x1",
            "logs": logs,
        }
        beacon = {
            "number": hex(BEACON[1]),
            "hash": f"0x{BEACON[2].hex()}",
            "timestamp": hex(1_794_999_990),
            "transactions": [],
        }
        self.blocks: Dict[str, Any] = {"0x9": BLOCK, hex(BEACON[1]): beacon, "finalized": {**BLOCK, "number": "0x20"}}
        self.answer: Callable[[str, Any], Any] = self.ordinary

    def ordinary(self, method: str, params: Any) -> Any:
        if method == "eth_chainId":
            return "0x7a69"
        if method == "eth_getTransactionReceipt":
            return self.receipt
        return self.blocks.get(params[0])


class Served:
    """A FakeChain behind HTTP."""

    def __init__(self, chain: FakeChain) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                result = chain.answer(asked["method"], asked["params"])
                body = (
                    result
                    if isinstance(result, bytes)
                    else json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()
                )
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://user:secret@127.0.0.1:{self.server.server_port}/key"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()


def by(verdict: Any, claim: str) -> Any:
    return next(each for each in verdict.claims if each.claim == claim)


class Offline(unittest.TestCase):
    def test_genuine(self) -> None:
        for count in (1, 2, 3, 5, 8, 13):
            for index in range(count):
                payload, receipt = make_receipt(index, count)
                verdict = verify(receipt, payload)
                self.assertEqual((verdict.result, verdict.exit_code), ("unproven", 2))
                statuses = {claim.claim: claim.status for claim in verdict.claims}
                self.assertEqual((statuses["content"], statuses["position"], statuses["round"]), ("verified",) * 3)
                self.assertEqual(by(verdict, "checkpoint").code, "key-not-given")

    def test_other_content(self) -> None:
        payload, receipt = make_receipt()
        self.assertEqual(verify(receipt, payload + b"!").result, "refuted")
        for ended, form in (
            (payload + b"\n", "without its last newline"),
            (payload + b"\r\n", "without its last newline"),
        ):
            verdict = verify(receipt, ended)
            self.assertEqual((verdict.result, by(verdict, "content").code), ("unproven", "content-re-ended"))
            self.assertIn(form, by(verdict, "content").says)

    def test_every_hex_digit_changed(self) -> None:
        payload, receipt = make_receipt()
        text = json.dumps(receipt)
        tried = 0
        # Behind the checkpoint's signature, which is not checked here, and the names of members.
        hashes = [v for v in walk(receipt) if isinstance(v, str) and len(v.replace("0x", "")) in (32, 64)]
        for value in hashes:
            for at in range(2 if value.startswith("0x") else 0, len(value)):
                flipped = value[:at] + ("1" if value[at] != "1" else "2") + value[at + 1 :]
                verdict = verify(text.replace(value, flipped, 1), payload)
                self.assertEqual(verdict.result, "refuted", f"{value} to {flipped}")
                tried += 1
        self.assertGreater(tried, 500)

    def test_numbers_and_times_changed(self) -> None:
        payload, receipt = make_receipt()
        for change in (
            lambda r: r["entry"].update(index=3),
            lambda r: r["entry"].update(receivedAt="2026-11-18T08:26:40.003Z"),
            lambda r: r["inclusion"].update(treeSize=6),
            lambda r: r["round"].update(number=8),
            lambda r: r["round"].update(closedAt="2026-11-18T08:26:41.001Z"),
            lambda r: r["round"].update(index=2),
            lambda r: r["round"]["link"]["beacons"][0].update(height=6),
            lambda r: r["round"]["link"].update(beacons=[]),
        ):
            changed = copy.deepcopy(receipt)
            change(changed)
            self.assertEqual(verify(changed, payload).result, "refuted", changed)

    def test_pending(self) -> None:
        payload, receipt = make_receipt()
        del receipt["round"], receipt["anchors"]
        verdict = verify(receipt, payload)
        self.assertEqual((verdict.result, by(verdict, "round").code), ("unproven", "round-pending"))

    def test_unknown_anchors_refute_nothing(self) -> None:
        payload, receipt = make_receipt(anchors=[{"type": "notary-2031", "x": [1, {"y": None}]}, {**ANCHOR, "new": 1}])
        verdict = verify(receipt, payload)
        self.assertEqual(verdict.result, "unproven")
        self.assertEqual([c.code for c in verdict.claims if c.claim == "anchor"], ["anchor-unknown", "no-source"])

    def test_hostile_text(self) -> None:
        _, receipt = make_receipt()
        text = json.dumps(receipt)
        for bad, code in (
            ("", "receipt-invalid"),
            ("[" * 100_000, "receipt-invalid"),
            ("null", "receipt-invalid"),
            ('{"format":' + "9" * 100_000 + "}", "receipt-invalid"),
            (text.replace('"index": 2', '"index": NaN', 1), "receipt-invalid"),
            (text.replace('"index": 2', '"index": 2, "index": 3', 1), "receipt-ambiguous"),
            (text.replace('"index": 2', '"index": true', 1), "receipt-invalid"),
            (text.replace('"index": 2', '"index": 1e400', 1), "receipt-invalid"),
            (text.replace('"anchors": []', '"anchors": [' + ",".join(['{"type":"x"}'] * 17) + "]"), "receipt-invalid"),
            (text.replace('"format"', '"also": 1, "format"'), "receipt-invalid"),
            (text + " " * 1_100_000, "receipt-invalid"),
            (text.encode("utf-16"), "receipt-invalid"),
        ):
            with self.assertRaises(FormatError) as raised:
                parse_receipt(bad)
            self.assertEqual(raised.exception.code, code, bad[:60])
        self.assertEqual(parse_receipt(b"\xef\xbb\xbf" + text.encode()).entry.log, LOG)


class Signatures(unittest.TestCase):
    def test_by_key(self) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
            from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
        except ImportError:
            payload, receipt = make_receipt()
            key = f"{LOG}+{'00' * 4}+AQ=="
            with self.assertRaises(FormatError):
                verify(receipt, payload, key=key)
            self.skipTest("cryptography is not installed")
        import base64

        from antequem.formats import sha256

        secret, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()

        def named(key: Any, log: str = LOG) -> Any:
            typed = b"\x01" + key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            key_id = sha256(log.encode(), b"\n", typed)[:4]
            return key_id, f"{log}+{key_id.hex()}+{base64.b64encode(typed).decode()}"

        payload, receipt = make_receipt()
        text = receipt["checkpoint"].split("\n\n")[0] + "\n"
        key_id, key = named(secret)
        line = base64.b64encode(key_id + secret.sign(text.encode())).decode()
        receipt["checkpoint"] = f"{text}\n— {LOG} {line}\n"
        self.assertEqual(by(verify(receipt, payload, key=key), "position").code, "position-by-key")
        rotated = verify(receipt, payload, key=named(other)[1])
        self.assertEqual((rotated.result, by(rotated, "checkpoint").code), ("unproven", "signature-by-another-key"))
        foreign = verify(receipt, payload, key=named(other, f"{LOG}.2")[1])
        self.assertEqual((foreign.result, by(foreign, "checkpoint").code), ("unproven", "key-not-for-this-log"))
        broken = base64.b64encode(key_id + bytes(64)).decode()
        receipt["checkpoint"] = f"{text}\n— {LOG} {broken}\n"
        self.assertEqual(verify(receipt, payload, key=key).result, "refuted")


class ByNode(unittest.TestCase):
    def setUp(self) -> None:
        self.payload, self.receipt = make_receipt(anchors=[ANCHOR])
        self.chain = FakeChain(self.receipt["round"]["root"])

    def verdict(self, **options: Any) -> Any:
        with Served(self.chain) as served:
            return verify(self.receipt, self.payload, nodes=[Node(served.url, **options)], now=1_795_000_100)

    def test_final(self) -> None:
        verdict = self.verdict()
        self.assertEqual((verdict.result, verdict.exit_code), ("proven", 0))
        self.assertEqual(verdict.existed_before.to_json()["block"], {"number": 9, "hash": BLOCK["hash"]})
        self.assertEqual(verdict.not_before.number, BEACON[1])
        self.assertNotIn("secret", json.dumps(verdict.to_json()))

    def test_not_final(self) -> None:
        self.chain.blocks["finalized"] = {**BLOCK, "number": "0x8"}
        verdict = self.verdict()
        self.assertEqual((verdict.result, by(verdict, "anchor").code), ("unproven", "anchor-not-final"))

    def test_confirmations_where_the_tag_is_refused(self) -> None:
        self.chain.blocks["finalized"] = None
        self.chain.blocks["latest"] = {**BLOCK, "number": "0xa"}
        self.assertEqual(by(self.verdict(), "anchor").code, "source-failed")
        self.assertEqual(self.verdict(confirmations=2).result, "proven")
        self.assertEqual(self.verdict(confirmations=3).result, "unproven")

    def test_contradicted(self) -> None:
        def failed(chain: FakeChain) -> None:
            chain.receipt["status"] = "0x0"

        def other_root(chain: FakeChain) -> None:
            chain.receipt["logs"][0]["topics"][2] = "0x" + "11" * 32

        def other_contract(chain: FakeChain) -> None:
            chain.receipt["logs"][0]["address"] = "0x" + "c1" * 20

        def not_there(chain: FakeChain) -> None:
            chain.receipt = None
            chain.blocks["0x9"] = {**BLOCK, "transactions": []}

        for spoil, code in (
            (failed, "anchor-transaction-failed"),
            (other_root, "anchor-event-missing"),
            (other_contract, "anchor-event-missing"),
            (not_there, "anchor-transaction-missing"),
        ):
            self.setUp()
            spoil(self.chain)
            verdict = self.verdict()
            self.assertEqual((verdict.result, by(verdict, "anchor").code), ("refuted", code))

    def test_stale_is_not_refuted(self) -> None:
        def moved(chain: FakeChain) -> None:
            chain.blocks["0x9"] = {**BLOCK, "hash": "0x" + "b2" * 32}
            chain.receipt["blockHash"] = "0x" + "b2" * 32

        def reorganized(chain: FakeChain) -> None:
            moved(chain)
            chain.receipt = None

        def pruned(chain: FakeChain) -> None:
            chain.receipt = None

        def started_anew(chain: FakeChain) -> None:
            chain.receipt = None
            chain.blocks = {"finalized": {**BLOCK, "number": "0x2"}}

        for spoil, code in (
            (moved, "anchor-moved"),
            (reorganized, "anchor-moved"),
            (pruned, "source-without-index"),
            (started_anew, "other-chain-instance"),
        ):
            self.setUp()
            spoil(self.chain)
            verdict = self.verdict()
            self.assertEqual((verdict.result, by(verdict, "anchor").code), ("unproven", code))

    def test_answers_of_no_use(self) -> None:
        for body in (
            b"",
            b"<html>",
            b"[]",
            b'{"result": {"number": "9"}}',
            b'{"error": {"message": "no"}}',
            b"{" * 99,
            b"x" * 9_000_000,
        ):
            self.setUp()
            ordinary = self.chain.ordinary
            self.chain.answer = lambda method, params: ordinary(method, params) if method == "eth_chainId" else body  # noqa: B023
            verdict = self.verdict()
            self.assertEqual((verdict.result, by(verdict, "anchor").code), ("unproven", "source-failed"), body[:40])


def walk(json_value: Any) -> Any:
    if isinstance(json_value, dict):
        for value in json_value.values():
            yield from walk(value)
    elif isinstance(json_value, list):
        for value in json_value:
            yield from walk(value)
    else:
        yield json_value
