// Requests that are signed by libraries which senders publish and that are no part of our packages: those for Python, and
// Slack's for Node, which checks what we hold for requests of Slack.

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Deliveries, expectedRow } from '../sources/deliveries.ts';
import { SENDERS, type Sender, type SentRequest } from '../sources/senders.ts';
import { type TestService, testService } from '../support/service.ts';

const PYTHON = ['slack-sdk==3.48.0', 'svix==2.9.1', 'standardwebhooks==1.1.0', 'stripe==16.1.0'];
const SLACK = '@slack/bolt@5.1.0';

/** Prints the headers of a request. Arguments: library, secret, seconds since the Unix epoch, body. */
const SIGN = `
import json, sys
from datetime import datetime, timezone
library, secret, time, body = sys.argv[1:]
at = datetime.fromtimestamp(int(time), timezone.utc)
if library == 'slack-sdk':
    from slack_sdk.signature import SignatureVerifier
    signature = SignatureVerifier(secret).generate_signature(timestamp=time, body=body)
    headers = {'x-slack-request-timestamp': time, 'x-slack-signature': signature}
elif library == 'stripe':
    import stripe
    headers = {'stripe-signature': stripe.WebhookSignature.generate_signature_header(body, secret, int(time))}
else:
    import standardwebhooks, svix.webhooks
    webhook = (standardwebhooks if library == 'standardwebhooks' else svix.webhooks).Webhook(secret)
    brand = 'webhook' if library == 'standardwebhooks' else 'svix'
    signature = webhook.sign('msg_python', at, body)
    headers = {brand + '-id': 'msg_python', brand + '-timestamp': time, brand + '-signature': signature}
print(json.dumps(headers))
`;

const run = promisify(execFile);

let service: TestService;
let deliveries: Deliveries;
let folder: string;
beforeAll(async () => {
  [service, folder] = await Promise.all([testService({ open: false }), mkdtemp(join(tmpdir(), 'antequem-libraries-'))]);
  deliveries = new Deliveries(service, (await service.key(['admin'])).token);
  await deliveries.manage('PUT', '/v1/logs/audit');
  await run('python3', ['-m', 'venv', join(folder, 'venv')]);
  await run(join(folder, 'venv/bin/pip'), ['install', '--quiet', ...PYTHON]);
  await run('npm', ['install', '--silent', '--ignore-scripts', '--no-save', '--prefix', folder, SLACK]);
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** A sender as we hold it for, with its headers by a library for Python. */
function byPython(scheme: string, library: string): Sender {
  const ours = SENDERS.find(({ name }) => name === scheme);
  if (ours === undefined) throw new Error(`there is no sender ${scheme}`);
  return {
    ...ours,
    name: `${scheme} by ${library}`,
    by: `${library} (PyPI)`,
    request: async (secret, body, at): Promise<SentRequest> => {
      const args = ['-c', SIGN, library, secret, String(Math.floor(at / 1_000)), body];
      const { stdout } = await run(join(folder, 'venv/bin/python'), args);
      return { headers: { 'content-type': 'application/json', ...JSON.parse(stdout) }, body };
    },
  };
}

const table: Record<string, string>[] = [];
afterAll(() => console.table(table));

test.each([
  ['slack', 'slack-sdk'],
  ['stripe', 'stripe'],
  ['svix', 'svix'],
  ['standard-webhooks', 'standardwebhooks'],
])('%s by %s: once, repeated, altered, late, by the old and the new secret', async (scheme, library) => {
  const sender = byPython(scheme, library);
  const row = await deliveries.row(sender);
  table.push(row);
  expect(row).toEqual(expectedRow(sender));
});

test("Slack's own library takes what we hold for a request of Slack, and not altered or by another secret", async () => {
  const bolt: { verifySlackRequest(asked: object): void } = createRequire(join(folder, 'x'))('@slack/bolt');
  const verify = bolt.verifySlackRequest;
  const slack = SENDERS.find(({ name }) => name === 'slack');
  const [signingSecret = '', other = ''] = slack?.secrets ?? [];
  const nowMilliseconds = 1_795_953_600_000;
  const sent = await slack?.request(signingSecret, '{"type":"event_callback"}', nowMilliseconds);
  const headers = {
    ...sent?.headers,
    'x-slack-request-timestamp': Number(sent?.headers['x-slack-request-timestamp']),
  };
  const asked = { signingSecret, body: sent?.body, headers, nowMilliseconds };
  verify(asked);
  expect(() => verify({ ...asked, body: '{}' })).toThrow('signature mismatch');
  expect(() => verify({ ...asked, signingSecret: other })).toThrow('signature mismatch');
  expect(() => verify({ ...asked, nowMilliseconds: nowMilliseconds + 301_000 })).toThrow('stale');
});
