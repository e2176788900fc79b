"""The reference implementation of OpenTimestamps, asked by the tests.

One request a line on standard input, one answer a line on standard output, both JSON:

    {"generate": COUNT, "seed": N}     -> [HEX of an .ots file, ...]
    {"read": [HEX of an .ots file]}    -> [{"bytes": HEX written again, "hash", "digest", "attestations"} or {"error"}]
"""

import json
import random
import sys

from opentimestamps.core.dubious.notary import EthereumBlockHeaderAttestation
from opentimestamps.core.notary import (
    BitcoinBlockHeaderAttestation,
    LitecoinBlockHeaderAttestation,
    PendingAttestation,
    UnknownAttestation,
)
from opentimestamps.core.op import (
    OpAppend,
    OpHexlify,
    OpKECCAK256,
    OpPrepend,
    OpReverse,
    OpRIPEMD160,
    OpSHA1,
    OpSHA256,
)
from opentimestamps.core.serialize import BytesDeserializationContext, BytesSerializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile, Timestamp

OPERATIONS = [OpSHA1, OpRIPEMD160, OpSHA256, OpKECCAK256, OpReverse, OpHexlify, OpAppend, OpPrepend, OpAppend, OpPrepend]
URI_CHARACTERS = PendingAttestation.ALLOWED_URI_CHARS.decode()


def size(rng, largest):
    """Small for the most part, now and then up to the limit itself."""
    kind = rng.random()
    if kind < 0.985:
        return rng.randint(0, min(largest, 64))
    return largest if kind > 0.995 else rng.randint(0, largest)


def height(rng):
    return rng.getrandbits(rng.choice([1, 7, 8, 14, 20, 32, 53]))


def attestation(rng):
    kind = rng.random()
    if kind < 0.35:
        return PendingAttestation("".join(rng.choices(URI_CHARACTERS, k=size(rng, 1000))))
    if kind < 0.6:
        return BitcoinBlockHeaderAttestation(height(rng))
    if kind < 0.68:
        return LitecoinBlockHeaderAttestation(height(rng))
    if kind < 0.76:
        return EthereumBlockHeaderAttestation(height(rng))
    # Some tags more than once, so that payloads decide the order too.
    tag = bytes([rng.randint(0, 3)]) * 8 if rng.random() < 0.5 else rng.randbytes(8)
    return UnknownAttestation(tag, rng.randbytes(size(rng, 8192)))


def operation(rng, length):
    """An operation that a message of this length can bear."""
    while True:
        op = rng.choice(OPERATIONS)
        if op in (OpAppend, OpPrepend):
            room = 4096 - length
            if room > 0:
                return op(rng.randbytes(max(1, size(rng, room))))
        elif op is not OpHexlify or length <= 2048:
            return op()


def grow(rng, timestamp, levels):
    """Adds to a timestamp so that every line ends in an attestation."""
    node = timestamp
    for _ in range(levels):
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            node.attestations.add(attestation(rng))
        for _ in range(rng.choice([0, 0, 0, 0, 1, 2, 4])):
            grow(rng, node.ops.add(operation(rng, len(node.msg))), rng.randint(0, levels // 2))
        node = node.ops.add(operation(rng, len(node.msg)))
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        node.attestations.add(attestation(rng))


def chain(rng, timestamp, levels):
    node = timestamp
    for _ in range(levels):
        node = node.ops.add(rng.choice([OpSHA256(), OpKECCAK256(), OpReverse()]))
    node.attestations.add(attestation(rng))


def generate(rng):
    hash_op = rng.choice([OpSHA1, OpRIPEMD160, OpSHA256, OpKECCAK256])()
    timestamp = Timestamp(rng.randbytes(hash_op.DIGEST_LENGTH))
    if rng.random() < 0.03:
        chain(rng, timestamp, rng.choice([254, 255]))
    else:
        grow(rng, timestamp, rng.choice([0, 1, 2, 3, 5, 8, 13]))
    return write(DetachedTimestampFile(hash_op, timestamp))


def write(detached):
    ctx = BytesSerializationContext()
    detached.serialize(ctx)
    return ctx.getbytes().hex()


def told(message, attested):
    """An attestation as the tests of the codec write it down."""
    kinds = {
        BitcoinBlockHeaderAttestation: "bitcoin",
        LitecoinBlockHeaderAttestation: "litecoin",
        EthereumBlockHeaderAttestation: "ethereum",
    }
    if isinstance(attested, PendingAttestation):
        return "%s pending %s" % (message.hex(), attested.uri)
    if isinstance(attested, UnknownAttestation):
        return "%s %s %s" % (message.hex(), attested.TAG.hex(), attested.payload.hex())
    return "%s %s %d" % (message.hex(), kinds[type(attested)], attested.height)


def read(text):
    try:
        detached = DetachedTimestampFile.deserialize(BytesDeserializationContext(bytes.fromhex(text)))
        return {
            "bytes": write(detached),
            "hash": detached.file_hash_op.TAG_NAME if detached.file_hash_op.TAG != b"\x67" else "keccak256",
            "digest": detached.file_digest.hex(),
            "attestations": sorted(told(*each) for each in detached.timestamp.all_attestations()),
        }
    except Exception as error:  # whatever it is, the library did not take the file
        return {"error": type(error).__name__}


for line in sys.stdin:
    request = json.loads(line)
    if "generate" in request:
        rng = random.Random(request["seed"])
        answer = [generate(rng) for _ in range(request["generate"])]
    else:
        answer = [read(text) for text in request["read"]]
    print(json.dumps(answer), flush=True)
