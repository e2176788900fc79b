#!/usr/bin/env bash
# scitt-cose 0.5.0 and pycose 1.1.0 (PyPI): a receipt signed as Ed25519 (-19) is refused, the same one as EdDSA (-8) is taken.
#
# RFC 9864 (October 2025) deprecates the polymorphic EdDSA (-8) and registers Ed25519 (-19) for the same signature. A log
# that follows it issues receipts (RFC 9942) that these verifiers cannot check. The signature is by the same key over a
# Sig_structure that differs in the protected algorithm alone.
#
# Seen on Python 3.11:
#   scitt-cose -8: True
#   scitt-cose -19: False
#   pycose -8: EdDSA
#   pycose -19: CoseException
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check scitt-cose==0.5.0 pycose==1.1.0
cat >run.py <<'PY'
from hashlib import sha256

import cbor2
import scitt_cose
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pycose.algorithms import CoseAlgorithm
from pycose.exceptions import CoseException

key = Ed25519PrivateKey.generate()
pem = key.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
entry, sibling = b"entry", sha256(b"\x00other").digest()
root = sha256(b"\x01" + sha256(b"\x00" + entry).digest() + sibling).digest()
for algorithm in (-8, -19):
    protected = cbor2.dumps({1: algorithm, 4: b"key", 395: 1, 15: {1: "log.example", 2: "log.example"}})
    signature = key.sign(cbor2.dumps(["Signature1", protected, b"", root]))
    proof = {396: {-1: [cbor2.dumps([2, 0, [sibling]])]}}
    receipt = cbor2.dumps(cbor2.CBORTag(18, [protected, proof, None, signature]))
    answer = scitt_cose.verify_receipt(receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=pem)
    print(f"scitt-cose {algorithm}: {answer.ok}")
for algorithm in (-8, -19):
    try:
        print(f"pycose {algorithm}: {CoseAlgorithm.from_id(algorithm).__name__}")
    except CoseException:
        print(f"pycose {algorithm}: CoseException")
PY
out=$(venv/bin/python run.py)
echo "$out"
[ "$out" = 'scitt-cose -8: True
scitt-cose -19: False
pycose -8: EdDSA
pycose -19: CoseException' ] || { echo changed; exit 1; }
