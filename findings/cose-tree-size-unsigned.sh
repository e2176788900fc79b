#!/usr/bin/env bash
# scitt-cose 0.5.0 (PyPI), and any verifier of RFC 9942: tree size and leaf index of a receipt are not signed.
#
# The signature covers the root alone, and the proof stands in the unprotected header. Where another size or another index
# gives the path the same shape, a receipt that was relabelled verifies just as the genuine one does. Here leaf 4 of 5 becomes
# leaf 2 of 3. So a receipt shows that an entry is in a tree with a signed root, and not at which index. C2SP checkpoints sign
# the size, and with it the shape.
#
# Seen on Python 3.11:
#   as issued: True size 5 index 4
#   relabelled: True size 3 index 2
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check scitt-cose==0.5.0
cat >run.py <<'PY'
from hashlib import sha256

import cbor2
import scitt_cose
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

key = Ed25519PrivateKey.generate()
pem = key.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
node = lambda left, right: sha256(b"\x01" + left + right).digest()
leaves = [sha256(b"\x00" + bytes([i])).digest() for i in range(5)]
four = node(node(*leaves[:2]), node(*leaves[2:4]))
root = node(four, leaves[4])
protected = cbor2.dumps({1: -8, 4: b"key", 395: 1, 15: {1: "log.example", 2: "log.example"}})
signature = key.sign(cbor2.dumps(["Signature1", protected, b"", root]))
for what, size, index in (("as issued", 5, 4), ("relabelled", 3, 2)):
    proof = {396: {-1: [cbor2.dumps([size, index, [four]])]}}
    receipt = cbor2.dumps(cbor2.CBORTag(18, [protected, proof, None, signature]))
    answer = scitt_cose.verify_receipt(receipt, leaf_entry_hex="04", log_public_key_pem=pem)
    print(f"{what}: {answer.ok} size {answer.tree_size} index {answer.leaf_index}")
PY
out=$(venv/bin/python run.py)
echo "$out"
[ "$out" = 'as issued: True size 5 index 4
relabelled: True size 3 index 2' ] || { echo changed; exit 1; }
