"""What a stock OpenTimestamps client does, by its reference library alone.

    submit URL DIGEST             has a calendar stamp a digest; prints its timestamp
    complete URL DIGEST TIMESTAMP asks the calendars that a timestamp names, URL alone being trusted; prints it completed
    check RPC-URL DIGEST TIMESTAMP
    check-file RPC-URL FILE OTS   prints a line for each Bitcoin attestation that the node's headers bear out

All bytes are hex; DIGEST is what was sent to the calendar, OTS and FILE whole files.
"""

import base64
import hashlib
import json
import sys
import urllib.request
from urllib.parse import urlsplit

from bitcoin.core import CBlockHeader
from opentimestamps.calendar import CommitmentNotFoundError, RemoteCalendar, UrlWhitelist
from opentimestamps.core.notary import BitcoinBlockHeaderAttestation, PendingAttestation
from opentimestamps.core.op import OpSHA256
from opentimestamps.core.serialize import BytesDeserializationContext, BytesSerializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile, Timestamp


def serialized(timestamp):
    ctx = BytesSerializationContext()
    timestamp.serialize(ctx)
    return ctx.getbytes().hex()


def parsed(timestamp, digest):
    return Timestamp.deserialize(BytesDeserializationContext(bytes.fromhex(timestamp)), bytes.fromhex(digest))


def walk(timestamp):
    yield timestamp
    for below in timestamp.ops.values():
        yield from walk(below)


def complete(url, timestamp):
    trusted = UrlWhitelist([url])
    for stamp in list(walk(timestamp)):
        for attestation in list(stamp.attestations):
            if isinstance(attestation, PendingAttestation) and attestation.uri in trusted:
                try:
                    stamp.merge(RemoteCalendar(attestation.uri).get_timestamp(stamp.msg, timeout=10))
                except CommitmentNotFoundError as error:
                    print("404", error.reason, file=sys.stderr)


def ask(rpc, method, *params):
    parts = urlsplit(rpc)
    login = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    body = json.dumps({"jsonrpc": "1.0", "id": 1, "method": method, "params": params}).encode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{parts.hostname}:{parts.port}/", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())["result"]


def check(rpc, timestamp):
    for message, attestation in timestamp.all_attestations():
        if not isinstance(attestation, BitcoinBlockHeaderAttestation):
            continue
        header = bytes.fromhex(ask(rpc, "getblockheader", ask(rpc, "getblockhash", attestation.height), False))
        # Raises unless the message is the header's merkle root.
        attestation.verify_against_blockheader(message, CBlockHeader.deserialize(header))
        print(attestation.height, header[36:68].hex())


command, *arguments = sys.argv[1:]
if command == "submit":
    url, digest = arguments
    print(serialized(RemoteCalendar(url).submit(bytes.fromhex(digest), timeout=10)))
elif command == "complete":
    url, digest, text = arguments
    stamp = parsed(text, digest)
    complete(url, stamp)
    print(serialized(stamp))
elif command == "check":
    rpc, digest, text = arguments
    check(rpc, parsed(text, digest))
elif command == "check-file":
    rpc, content, ots = arguments
    file = DetachedTimestampFile.deserialize(BytesDeserializationContext(bytes.fromhex(ots)))
    assert isinstance(file.file_hash_op, OpSHA256)
    assert file.file_digest == hashlib.sha256(bytes.fromhex(content)).digest()
    check(rpc, file.timestamp)
else:
    raise SystemExit(__doc__)
