#!/usr/bin/env bash
# opentimestamps 0.4.9 (npm): valid .ots files with the operations hexlify or keccak256 cannot be read.
#
# The reference (PyPI opentimestamps 0.4.5) writes and verifies both. The JavaScript library computes nothing for hexlify
# and looks up a keccak function that is not there: `deserialize` throws a bare TypeError for the whole file, other paths
# of it included, so a user reads "broken file". A file for everybody keeps to sha256, append and prepend.
#
# Seen on Node 24, Python 3.11:
#   sha256 same message
#   reverse same message
#   hexlify TypeError
#   keccak256 TypeError
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentimestamps==0.4.5
# `fs`, which the package names as a dependency, is a placeholder that some mirrors lack; Node's own module is used.
mkdir fs && echo '{ "name": "fs", "version": "0.0.2" }' >fs/package.json
echo '{ "dependencies": { "fs": "file:fs", "opentimestamps": "0.4.9" }, "overrides": { "fs": "$fs" } }' >package.json
npm install --silent --no-audit --no-fund
cat >make.py <<'PY'
from opentimestamps.core.notary import BitcoinBlockHeaderAttestation
from opentimestamps.core.op import OpHexlify, OpKECCAK256, OpReverse, OpSHA256
from opentimestamps.core.serialize import BytesSerializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile, Timestamp

for op in (OpSHA256(), OpReverse(), OpHexlify(), OpKECCAK256()):
    file = DetachedTimestampFile(OpSHA256(), Timestamp(bytes(range(32))))
    end = file.timestamp.ops.add(op)
    end.attestations.add(BitcoinBlockHeaderAttestation(500000))
    out = BytesSerializationContext()
    file.serialize(out)
    open(f"{op.TAG_NAME}.ots", "wb").write(out.getbytes())
    print(op.TAG_NAME, end.msg.hex())
PY
cat >read.cjs <<'JS'
const { readFileSync } = require('node:fs');
const { Context, DetachedTimestampFile } = require('opentimestamps');
for (const line of readFileSync('made.txt', 'utf8').trim().split('\n')) {
  const [name, message] = line.split(' ');
  try {
    const file = DetachedTimestampFile.deserialize(new Context.StreamDeserialization(readFileSync(`${name}.ots`)));
    const [end] = file.timestamp.ops.values();
    console.log(name, Buffer.from(end.msg).toString('hex') === message ? 'same message' : 'another message');
  } catch (error) {
    console.log(name, error.name);
  }
}
JS
venv/bin/python make.py >made.txt
out=$(node read.cjs 2>/dev/null)
echo "$out"
[ "$out" = $'sha256 same message\nreverse same message\nhexlify TypeError\nkeccak256 TypeError' ] || { echo changed; exit 1; }
