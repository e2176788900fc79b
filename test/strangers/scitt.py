"""Has scitt-cose verify COSE receipts: each as it is, with a changed byte of its entry, and with a changed byte of its own.

A line of the file has receipt and entry, in hex; the public key is a PEM. Prints JSON: how many were accepted, how many of the
changed entries and receipts were refused, how many changed receipts passed because tree size or index, which nothing signs, were
changed to others with a path of the same shape, and what else passed.
"""

import json
import sys

import cbor2
from scitt_cose import verify_receipt


def place(receipt: bytes) -> list:
    return list(cbor2.loads(cbor2.loads(receipt).value[1][396][-1][0]))[:2]


def flipped(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :]


pem = open(sys.argv[2]).read()
total = accepted = entries_refused = refused = relabelled = 0
wrong = []
for number, line in enumerate(open(sys.argv[1])):
    receipt, entry = map(bytes.fromhex, line.split())
    holds = lambda proof, leaf: verify_receipt(proof, leaf_entry_hex=leaf.hex(), log_public_key_pem=pem).ok
    total += 1
    accepted += holds(receipt, entry)
    entries_refused += not holds(receipt, flipped(entry, number))
    changed = flipped(receipt, number)
    if not holds(changed, entry):
        refused += 1
    elif place(changed) != place(receipt):
        relabelled += 1
    else:
        wrong.append(changed.hex())
print(
    json.dumps(
        {
            'total': total,
            'accepted': accepted,
            'entriesRefused': entries_refused,
            'refused': refused,
            'relabelled': relabelled,
            'wrong': wrong[:3],
        }
    )
)
