#!/usr/bin/env bash
# cloudevents 2.2.0 (Python SDK): a boolean attribute becomes the header value `True`.
#
# CloudEvents 1.0.2, section 3.1 (type system): the canonical string of a Boolean is `true` or `false`. In structured mode
# the SDK writes JSON `true`. A receiver that compares, deduplicates or hashes attributes sees two different events.
#
# Seen on Python 3.11:
#   binary: True
#   structured: true
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0
cat >run.py <<'PY'
import json
from cloudevents.core.bindings.http import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

event = CloudEvent({"id": "1", "source": "/s", "type": "t", "specversion": "1.0", "audited": True}, {"a": 1})
print("binary:", to_binary(event, JSONFormat()).headers["ce-audited"])
print("structured:", json.dumps(json.loads(to_structured(event, JSONFormat()).body)["audited"]))
PY
out=$(venv/bin/python run.py)
echo "$out"
[ "$out" = $'binary: True\nstructured: true' ] || { echo changed; exit 1; }
