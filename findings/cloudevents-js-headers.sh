#!/usr/bin/env bash
# cloudevents 10.0.0 (JavaScript SDK): attributes are not percent-encoded in HTTP headers, nor decoded.
#
# The HTTP binding (CloudEvents 1.0.2, section 3.1.3.2) wants every character outside printable ASCII percent-encoded as
# UTF-8. The SDK writes attributes as they are. Node sends characters up to U+00FF as Latin-1 bytes, so a receiver that
# expects UTF-8 or percent-encoding sees another text, and refuses to send the others: such an event cannot be sent in
# binary mode at all. A header that another SDK encoded comes out encoded.
#
# Seen on Node 24:
#   written: Zürich
#   beyond Latin-1: ERR_INVALID_CHAR
#   read: Z%C3%BCrich
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund cloudevents@10.0.0
cat >run.mjs <<'JS'
import { request } from 'node:http';
import { CloudEvent, HTTP } from 'cloudevents';
const event = (subject) => new CloudEvent({ id: '1', source: '/s', type: 't', subject, data: { a: 1 } });
console.log(`written: ${HTTP.binary(event('Zürich')).headers['ce-subject']}`);
let code = 'sent';
try {
  request({ host: '127.0.0.1', port: 9, headers: HTTP.binary(event('東京')).headers }).on('error', () => {});
} catch (error) {
  code = error.code;
}
console.log(`beyond Latin-1: ${code}`);
const headers = { 'content-type': 'application/json', 'ce-id': '1', 'ce-source': '/s', 'ce-type': 't', 'ce-specversion': '1.0' };
console.log(`read: ${HTTP.toEvent({ headers: { ...headers, 'ce-subject': 'Z%C3%BCrich' }, body: '{}' }).subject}`);
JS
out=$(node run.mjs)
echo "$out"
[ "$out" = $'written: Zürich\nbeyond Latin-1: ERR_INVALID_CHAR\nread: Z%C3%BCrich' ] || { echo changed; exit 1; }
