"""`python -m antequem`: append, fetch a receipt, verify."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Optional, Sequence

from .client import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Client
from .errors import AntequemError
from .node import Node
from .receipt import MAX_RECEIPT_BYTES
from .verify import verify


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Exit codes of verify: 0 proven, 1 refuted, 2 not proven, or the input could not be read."""
    flags = _parser().parse_args(arguments)
    try:
        code: int = flags.run(flags)
        return code
    except AntequemError as error:
        print(f"antequem: {error} ({error.code})", file=sys.stderr)
    except OSError as error:
        print(f"antequem: {error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m antequem", description="Proof of time for log entries.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    url = os.environ.get("ANTEQUEM_URL", "http://127.0.0.1:3963")

    append = commands.add_parser("append", help="append each line of a file, or of the standard input, as an entry")
    append.add_argument("log")
    append.add_argument("file", nargs="?")
    append.add_argument("--url", default=url, help="the service (default: $ANTEQUEM_URL or %(default)s)")
    append.set_defaults(run=_append)

    receipt = commands.add_parser("receipt", help="fetch the receipt of an entry")
    receipt.add_argument("log")
    receipt.add_argument("index", type=int)
    receipt.add_argument("-o", "--output", help="write it to a file instead of the standard output")
    receipt.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="wait so long for the stage")
    receipt.add_argument("--until", choices=["round", "included", "finalized", "bitcoin", "stored"], default="finalized")
    receipt.add_argument("--url", default=url, help="the service (default: $ANTEQUEM_URL or %(default)s)")
    receipt.set_defaults(run=_receipt)

    check = commands.add_parser(
        "verify", help="check a file against its receipt; exit code 0 proven, 1 refuted, 2 not proven"
    )
    check.add_argument("file", help="the content: its exact bytes, a line without its newline")
    check.add_argument("receipt")
    check.add_argument("--key", help="the log's verifier key")
    check.add_argument("--rpc", action="append", default=[], metavar="URL", help="a node that you trust (repeatable)")
    check.add_argument(
        "--confirmations", type=int, metavar="N", help="N blocks make final, that of the anchor counts; not the node's tag"
    )
    check.add_argument("--json", action="store_true", help="print the verdict as JSON")
    check.set_defaults(run=_verify)
    return parser


def _client(flags: argparse.Namespace) -> Client:
    return Client(flags.url, api_key=os.environ.get("ANTEQUEM_API_KEY"))


def _append(flags: argparse.Namespace) -> int:
    log = _client(flags).log(flags.log)
    source = sys.stdin.buffer if flags.file is None else open(flags.file, "rb")
    batch: list[bytes] = []
    count = size = 0
    with source:
        for line in source:
            entry = line[:-1] if line.endswith(b"\n") else line
            if not entry.strip(b" \t\r"):
                continue
            if batch and (len(batch) == MAX_BATCH_ENTRIES or size + len(entry) + 1 > MAX_BATCH_BYTES):
                count += len(log.append_lines(batch))
                batch, size = [], 0
            batch.append(entry)
            size += len(entry) + 1
        if batch:
            count += len(log.append_lines(batch))
    print(f"{count} {'entry' if count == 1 else 'entries'} appended to {flags.log}")
    return 0


def _receipt(flags: argparse.Namespace) -> int:
    receipt = _client(flags).log(flags.log).receipt(flags.index, wait=flags.wait, until=flags.until)
    text = json.dumps(receipt, indent=2) + "\n"
    if flags.output is None:
        sys.stdout.write(text)
    else:
        with open(flags.output, "w", encoding="utf-8") as file:
            file.write(text)
    return 0


def _verify(flags: argparse.Namespace) -> int:
    with open(flags.file, "rb") as file:
        payload = file.read()
    with open(flags.receipt, "rb") as file:
        text = file.read(MAX_RECEIPT_BYTES + 1)
    nodes = [Node(url, confirmations=flags.confirmations) for url in flags.rpc]
    verdict = verify(text, payload, key=flags.key, nodes=nodes, now=time.time())
    if flags.json:
        print(json.dumps(verdict.to_json(), indent=2))
        return verdict.exit_code
    print(verdict.result.upper())
    if verdict.existed_before is not None:
        moment = verdict.existed_before
        print(f"  existed before {moment.time} (block {moment.number} of {moment.chain})")
    for claim in verdict.claims:
        print(f"  {claim.status:<10} {claim.claim}: {claim.says} [{claim.code}]")
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main())
