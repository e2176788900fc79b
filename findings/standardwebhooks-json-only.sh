#!/usr/bin/env bash
# standardwebhooks 1.1.1 (npm): `verify` throws a SyntaxError for a body that is signed rightly and not JSON; svix 2.5.0,
# from the same people, does not.
#
# The Standard Webhooks specification signs bytes and leaves their format open. `verify` parses the payload as JSON after
# checking the signature, so plain text, CSV or NDJSON that carries a genuine signature looks like a failed verification
# to a caller who catches every error alike.
#
# Seen on Node 24:
#   standardwebhooks: json verified, text SyntaxError, two lines SyntaxError
#   svix: json verified, text verified, two lines verified
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund standardwebhooks@1.1.1 svix@2.5.0
cat >run.mjs <<'JS'
import * as standard from 'standardwebhooks';
import * as svix from 'svix';
const bodies = { json: '{"a":1}', text: 'backup finished', 'two lines': '{"a":1}\n{"a":2}\n' };
for (const [name, { Webhook }] of Object.entries({ standardwebhooks: standard, svix })) {
  const webhook = new Webhook(`whsec_${Buffer.alloc(24, 7).toString('base64')}`);
  const now = new Date();
  const told = Object.entries(bodies).map(([kind, body]) => {
    const values = { id: 'msg_1', timestamp: String(Math.floor(now / 1000)), signature: webhook.sign('msg_1', now, body) };
    const headers = Object.fromEntries(Object.entries(values).map(([key, value]) => [`webhook-${key}`, value]));
    try {
      webhook.verify(body, headers);
      return `${kind} verified`;
    } catch (error) {
      return `${kind} ${error.name}`;
    }
  });
  console.log(`${name}: ${told.join(', ')}`);
}
JS
out=$(node run.mjs)
echo "$out"
[ "$out" = "standardwebhooks: json verified, text SyntaxError, two lines SyntaxError
svix: json verified, text verified, two lines verified" ] || { echo changed; exit 1; }
