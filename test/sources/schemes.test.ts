import { createHmac, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { AntequemError } from '../../src/core/errors.ts';
import type { EventDraft } from '../../src/ingest/event.ts';
import { readJson } from '../../src/ingest/json.ts';
import { sourceChoices } from '../../src/sources/choices.ts';
import { eventDrafts, readBody } from '../../src/sources/events.ts';
import type { Grounds, SenderCheck, SignedRequest, Verified } from '../../src/sources/scheme.ts';
import { SCHEME_CHOICES, SCHEME_NAMES, SENDER_NAMES } from '../../src/sources/scheme-names.ts';
import { chooseScheme } from '../../src/sources/schemes.ts';
import { fakeOutside, pubsubPush, SENDERS, type SentRequest, snsMessage } from './senders.ts';

const NOW = 1_795_953_600_000;
const BODY = '{"action": "created", "id": 12345678901234567890}';

function delivery({ headers, query = {}, body }: SentRequest): SignedRequest {
  return { method: 'POST', headers, query, body: typeof body === 'string' ? Buffer.from(body) : body };
}

function grounds(secrets: readonly string[], now = NOW): Grounds {
  return { secrets, now, outside: fakeOutside() };
}

/** As the route does it: headers first, then everything. */
async function verify(verifier: SenderCheck, sent: SentRequest, on: Grounds): Promise<Verified> {
  await verifier.admit?.(delivery(sent), on);
  return verifier.verify(delivery(sent), on);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'accepted';
  } catch (error) {
    return (error as AntequemError).code;
  }
}

it.each(SENDERS)('$name: takes what is signed by the old and by the new secret, and nothing else', async (sender) => {
  const verifier = chooseScheme(sender.scheme, sender.settings ?? {}).open();
  const [old, fresh] = sender.secrets ?? ['', ''];
  const both = grounds(sender.secrets === null ? [] : [fresh, old]);
  const sent = await sender.request(old, BODY, NOW);
  const { proof } = await verify(verifier, sent, both);
  for (const secret of sender.secrets ?? []) {
    await verify(verifier, await sender.request(secret, BODY, NOW), both);
    expect(JSON.stringify(proof)).not.toContain(secret);
  }
  expect(proof.vouched === 'public-key').toBe(sender.secrets === null && sender.name !== 'pubsub');
  if (sender.secrets !== null) {
    const other = await sender.request(`${old.slice(0, -5)}AAAA=`, BODY, NOW);
    expect(await codeOf(verify(verifier, other, both))).toBe('signature-invalid');
    expect(await codeOf(verify(verifier, sent, grounds([fresh])))).toBe('signature-invalid');
  }
  const altered = { ...sent, body: sent.body.toString().replace('created', 'deleted') };
  expect(await codeOf(verify(verifier, altered, both))).toBe(sender.covers.body ? 'signature-invalid' : 'accepted');
  const bare = { ...sent, headers: { 'content-type': 'application/json' }, query: {} };
  const without = await codeOf(verify(verifier, bare, both));
  expect(without).toBe(sender.name === 'sns' ? 'accepted' : 'signature-missing');
  for (const late of [NOW + 10 * 3_600_000, NOW - 10 * 3_600_000]) {
    const code = await codeOf(verify(verifier, sent, { ...both, now: late }));
    const refusal = late < NOW && sender.name === 'pubsub' ? 'accepted' : 'signature-late';
    expect(code).toBe(sender.covers.time ? refusal : 'accepted');
  }
});

it('knows a sender for every choice of scheme', () => {
  const tried = new Set(SENDERS.map(({ scheme }) => scheme));
  const rest = [...SCHEME_NAMES, ...SENDER_NAMES].filter((choice) => !tried.has(choice));
  // The first two are configured freely, hoop has a test of its own with what it delivers.
  expect(rest).toEqual(['hmac', 'timestamped-hmac', 'secret-header', 'hoop']);
});

it('takes the requests that the documentation of GitHub, Slack and Standard Webhooks shows', async () => {
  const github = chooseScheme('github', {}).open();
  const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
  const hello = { headers: { 'x-hub-signature-256': signature }, body: 'Hello, World!' };
  await verify(github, hello, grounds(["It's a Secret to Everybody"]));
  const slack = chooseScheme('slack', {}).open();
  const body =
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&' +
    'user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com' +
    '%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.' +
    '803a0bc887a14d10d2c447fce8b6703c';
  const headers = {
    'x-slack-request-timestamp': '1531420618',
    'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  };
  await verify(slack, { headers, body }, grounds(['8f742231b10e8888abcd99yyyzzz85a5'], 1_531_420_618_000));
  const standard = chooseScheme('standard-webhooks', {}).open();
  const sent = {
    headers: {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    },
    body: '{"test": 2432232314}',
  };
  await verify(standard, sent, grounds(['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'], 1_614_265_330_000));
});

it('answers pings, challenges and handshakes, and logs none of them', async () => {
  const control = async (choice: string, sent: SentRequest, settings = {}): Promise<unknown> => {
    const asked = delivery(sent);
    return chooseScheme(choice, settings).open().control?.(asked, readJson(asked.body), grounds([]));
  };
  expect(await control('github', { headers: { 'x-github-event': 'ping' }, body: '{}' })).toEqual({ body: null });
  expect(await control('snyk', { headers: { 'x-snyk-event': 'ping/v0' }, body: '{}' })).toEqual({ body: null });
  expect(await control('github', { headers: { 'x-github-event': 'pinged' }, body: '{}' })).toBeNull();
  const challenge = JSON.stringify({ token: 'x', challenge: 'abc', type: 'url_verification' });
  expect(await control('slack', { headers: {}, body: challenge })).toEqual({ body: { challenge: 'abc' } });
  const validation = [
    { eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent', data: { validationCode: '512d' } },
  ];
  const grid = { headers: { 'aeg-event-type': 'SubscriptionValidation' }, body: JSON.stringify(validation) };
  expect(await control('event-grid', grid)).toEqual({ body: { validationResponse: '512d' } });
  const head = (method: string, headers: Record<string, string>) => ({ method, headers, query: {} });
  const okta = chooseScheme('okta', {}).open();
  expect(okta.greet?.(head('GET', { 'x-okta-verification-challenge': 'c' }))).toEqual({ body: { verification: 'c' } });
  expect(okta.greet?.(head('GET', {}))).toBeNull();
  const allowed = chooseScheme('event-grid', {}).open();
  expect(allowed.greet?.(head('OPTIONS', { 'webhook-request-origin': 'eventgrid.azure.net' }))).toEqual({
    headers: { 'WebHook-Allowed-Origin': 'eventgrid.azure.net', 'WebHook-Allowed-Rate': '*' },
    body: null,
  });
});

it('confirms a subscription of SNS at the region of its topic alone, and fetches certificates from there alone', async () => {
  const topic = SENDERS.find(({ name }) => name === 'sns');
  const verifier = chooseScheme('sns', topic?.settings ?? {}).open();
  const asked: string[] = [];
  const on = { secrets: [], now: NOW, outside: fakeOutside(asked) };
  const confirmation = (url: string): SentRequest =>
    snsMessage({
      Type: 'SubscriptionConfirmation',
      Message: 'm',
      Token: 't',
      SubscribeURL: url,
      Timestamp: new Date(NOW).toISOString(),
    });
  const url = 'https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t';
  const confirm = async (sent: SentRequest) => {
    await verify(verifier, sent, on);
    return verifier.control?.(delivery(sent), readJson(delivery(sent).body), on);
  };
  expect(await confirm(confirmation(url))).toEqual({ body: null });
  expect(asked.at(-1)).toBe(url);
  for (const elsewhere of [
    'https://sns.us-east-1.amazonaws.com/',
    'https://sns.eu-west-1.amazonaws.com.evil.example/',
    'http://sns.eu-west-1.amazonaws.com/',
    'https://a@sns.eu-west-1.amazonaws.com/',
  ]) {
    expect(await codeOf(confirm(confirmation(elsewhere)))).toBe('signature-invalid');
  }
  const fields = { Type: 'Notification', Message: 'm', Timestamp: new Date(NOW).toISOString() };
  for (const SigningCertURL of [
    'https://evil.example/SimpleNotificationService-00.pem',
    'https://sns.eu-west-1.amazonaws.com/other.pem',
  ]) {
    expect(await codeOf(verify(verifier, snsMessage({ ...fields, SigningCertURL }), on))).toBe('signature-invalid');
  }
  const other = snsMessage({ ...fields, TopicArn: 'arn:aws:sns:eu-west-1:123456789012:other' });
  expect(await codeOf(verify(verifier, other, on))).toBe('signature-invalid');
  await verify(verifier, snsMessage({ ...fields, SignatureVersion: '1' }), on);
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  expect(await codeOf(verify(verifier, snsMessage(fields, stranger), on))).toBe('signature-invalid');
  expect(asked).toEqual([expect.stringContaining('.pem'), url]);
});

it('takes messages that SNS sent, while its certificate was valid', async () => {
  const file: unknown = JSON.parse(readFileSync(new URL('sns-recorded.json', import.meta.url), 'utf8'));
  const recorded = file as { certificateUrl: string; certificate: string; messages: Record<string, string>[] };
  const outside = {
    get: async ({ href }: URL) => Buffer.from(href === recorded.certificateUrl ? recorded.certificate : ''),
  };
  const hashes: unknown[] = [];
  for (const message of recorded.messages) {
    const verifier = chooseScheme('sns', { topicArns: [message.TopicArn], toleranceSeconds: 7 * 86_400 }).open();
    const sent = { headers: { 'content-type': 'text/plain' }, body: JSON.stringify(message, null, 2) };
    const on = { secrets: [], now: Date.parse(message.Timestamp ?? '') + 1_000, outside };
    const { delivery: id, proof } = await verify(verifier, sent, on);
    expect([id, proof.vouched]).toEqual([message.MessageId, 'public-key']);
    hashes.push(proof.details?.hash);
    for (const [name, value] of [
      ['Message', 'Hello World'],
      ['MessageId', message.MessageId?.replace('-', '_') ?? ''],
      ['Subject', 'added'],
      ['SignatureVersion', message.SignatureVersion === '1' ? '2' : '1'],
    ] as const) {
      const altered = { ...sent, body: JSON.stringify({ ...message, [name]: value }) };
      expect([name, await codeOf(verify(verifier, altered, on))]).toEqual([name, 'signature-invalid']);
    }
    expect(await codeOf(verify(verifier, sent, { ...on, now: on.now + 8 * 86_400_000 }))).toBe('signature-late');
  }
  expect(hashes).toEqual(['RSA-SHA1', 'RSA-SHA256']);
});

it('refuses tokens of Google for another audience or account, and asks for its keys once', async () => {
  const settings = { audience: 'https://antequem.example', email: 'push@example.iam.gserviceaccount.com' };
  const asked: string[] = [];
  const on = { secrets: [], now: NOW, outside: fakeOutside(asked) };
  const verifier = chooseScheme('pubsub', settings).open();
  await verify(verifier, await pubsubPush({}, BODY, NOW), on);
  for (const claims of [{ email: 'other@example.com' }, { email_verified: false }, { email: undefined }]) {
    expect(await codeOf(verify(verifier, await pubsubPush(claims, BODY, NOW), on))).toBe('signature-invalid');
  }
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  expect(await codeOf(verify(verifier, await pubsubPush({}, BODY, NOW, stranger), on))).toBe('signature-invalid');
  expect(asked).toEqual(['https://www.googleapis.com/oauth2/v3/certs']);
  const elsewhere = chooseScheme('pubsub', { ...settings, audience: 'https://other.example' }).open();
  expect(await codeOf(verify(elsewhere, await pubsubPush({}, BODY, NOW), on))).toBe('signature-invalid');
});

it('asks Google for nothing because of what is no token of its kind', async () => {
  const settings = { audience: 'https://antequem.example', email: 'push@example.iam.gserviceaccount.com' };
  const verifier = chooseScheme('pubsub', settings).open();
  const asked: string[] = [];
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  for (const token of [
    'a.b.c',
    `${part({ alg: 'none' })}.${part({})}.AA`,
    `${part({ alg: 'HS256' })}.${part({})}.AA`,
  ]) {
    const sent = { headers: { authorization: `Bearer ${token}` }, body: '{}' };
    const on = { secrets: [], now: NOW, outside: fakeOutside(asked) };
    expect(await codeOf(verify(verifier, sent, on))).toBe('signature-invalid');
  }
  expect(asked).toEqual([]);
});

it('lists every choice with its settings, and the defaults that it is made with', () => {
  const choices = sourceChoices();
  expect(choices.map(({ name }) => name)).toEqual(SCHEME_CHOICES);
  const settingsOf = (choice: string) => choices.find(({ name }) => name === choice)?.settings ?? [];
  expect(settingsOf('hmac')[0]).toMatchObject({ name: 'header', type: 'text', required: true, default: null });
  expect(settingsOf('vercel')).toMatchObject([
    { name: 'header', required: false, default: 'x-vercel-signature' },
    { name: 'hash', type: 'choice', default: 'sha1', values: ['sha1', 'sha256', 'sha512'] },
    { name: 'encoding' },
    { name: 'prefix', default: '', nullable: false },
    { name: 'deliveryHeader', type: 'text', nullable: true },
    { name: 'eventHeader' },
  ]);
  expect(settingsOf('sns')).toMatchObject([
    { name: 'topicArns', type: 'list', required: true },
    { name: 'toleranceSeconds', type: 'number', default: 7_200 },
  ]);
  expect(settingsOf('pubsub').map(({ type }) => type)).toEqual(['text', 'text', 'text', 'json']);
  expect(settingsOf('snyk-audit').map(({ type }) => type)).toEqual([
    'text',
    'text',
    'text',
    'text',
    'list',
    'text',
    'number',
  ]);
  for (const { name, settings, kind } of choices) {
    if (kind === 'pull' || settings.some(({ required }) => required)) continue;
    const defaults = Object.fromEntries(settings.map((setting) => [setting.name, setting.default]));
    expect(chooseScheme(name, {}).settings).toEqual(defaults);
  }
});

it('refuses settings that are wrong, with what is wrong', () => {
  expect(() => chooseScheme('hmac', {})).toThrow(/header/);
  expect(() => chooseScheme('github', { hash: 'md5' })).toThrow(/hash/);
  expect(() => chooseScheme('sns', { topicArns: ['arn:aws:s3:::x'] })).toThrow(/topicArns\.0/);
  expect(() => chooseScheme('constructor', {})).toThrow(/one of standard-webhooks/);
});

const SOURCE = { id: 'src_1', name: 'test', scheme: 'hmac' };

function draftsOf(
  choice: string,
  body: string | Uint8Array,
  { type = 'application/json', proof = {} } = {},
): EventDraft[] {
  const bytes = Buffer.from(body);
  const verified = {
    delivery: 'd',
    proof: { vouched: 'shared-secret', covers: ['body'], signature: 's', ...proof },
  } as const;
  return [...eventDrafts(SOURCE, verified, chooseScheme(choice, {}).open(), readBody(bytes, bytes, null, type))];
}

const lineOf = ({ payload }: EventDraft): unknown => JSON.parse(Buffer.from(payload ?? []).toString());

it('logs the event, and the signed bytes where the event does not give them back', () => {
  const [draft] = draftsOf('github', '{"a":1}');
  expect(draft && lineOf(draft)).toEqual({
    antequem: 'received/v1',
    source: 'src_1',
    name: 'test',
    delivery: 'd',
    event: { a: 1 },
    body: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/), length: 7 },
    signature: {
      scheme: 'hmac',
      vouched: 'by a shared secret, which the operator has too',
      covers: ['body'],
      value: 's',
    },
  });
  const [spaced] = draftsOf('github', '{"a": 1}');
  expect(spaced && lineOf(spaced)).toMatchObject({ event: { a: 1 }, body: { text: '{"a": 1}' } });
  const [form] = draftsOf('github', 'payload=x', { type: 'application/x-www-form-urlencoded' });
  expect(form && lineOf(form)).toMatchObject({ body: { text: 'payload=x' } });
  expect(form?.setAside).toBeUndefined();
  const [bytes] = draftsOf('github', Uint8Array.of(0xff, 0xfe), { type: 'application/octet-stream' });
  expect(bytes && lineOf(bytes)).toMatchObject({ body: { bytes: '//4=' } });
});

it('names an event by source, delivery and body, however its signature looks', () => {
  const [first] = draftsOf('github', '{"a":1}');
  const [again] = draftsOf('github', '{"a":1}', { proof: { signature: 'newer' } });
  const [other] = draftsOf('github', '{"a":2}');
  expect(again?.event).toEqual(first?.event);
  expect(again?.digest).not.toEqual(first?.digest);
  expect(other?.event).not.toEqual(first?.event);
  expect(first?.idCoversContent).toBe(true);
});

it('marks what is labelled JSON and is not, and what is too large', () => {
  const [odd] = draftsOf('github', '{"a":1,"a":2}');
  expect(odd).toMatchObject({ setAside: { reason: 'member-twice', kept: true } });
  expect(odd && lineOf(odd)).toMatchObject({ reason: 'member-twice', body: { text: '{"a":1,"a":2}' } });
  const [large] = draftsOf('github', JSON.stringify({ a: 'x'.repeat(1 << 20) }));
  expect(large).toMatchObject({ setAside: { reason: 'too-large', kept: false } });
  expect(large && lineOf(large)).toMatchObject({ reason: 'too-large', body: { length: (1 << 20) + 8 } });
  const [half] = draftsOf('github', JSON.stringify({ a: 'x'.repeat(700_000) }, null, 1));
  expect(half?.setAside).toBeUndefined();
  expect(half && lineOf(half)).toMatchObject({ event: { a: expect.any(String) } });
});

it('logs an event whose id is no id, with room for what came', () => {
  const id = 'x'.repeat(1 << 20);
  const [alone, listed] = [
    draftsOf('event-grid', JSON.stringify({ id })),
    draftsOf('event-grid', JSON.stringify([{ id }])),
  ];
  for (const [draft] of [alone, listed]) {
    expect(draft?.payload).not.toBeNull();
    expect(draft && lineOf(draft)).toMatchObject({ reason: 'too-large', body: { sha256: expect.any(String) } });
  }
});

it('makes an entry of each element and of each line, equal ones too', () => {
  const events = (body: string): unknown[] => draftsOf('auth0', body).map((draft) => lineOf(draft));
  expect(events('[{"a":1}, {"a":1}]')).toMatchObject([
    { event: { a: 1 }, body: { item: 0 } },
    { event: { a: 1 }, body: { item: 1 } },
  ]);
  expect(events('{"a":1}\n\n{"a":2}\r\n')).toMatchObject([{ event: { a: 1 } }, { event: { a: 2 } }]);
  expect(events('{\n"a":\n1}')).toMatchObject([{ event: { a: 1 } }]);
  expect(events('{"a":1}\nnot json')).toMatchObject([{ event: { a: 1 } }, { reason: 'not-json', text: 'not json' }]);
  const [one, two] = draftsOf('auth0', '[{"a":1},{"a":1}]');
  expect(one?.event).not.toEqual(two?.event);
});

it('takes every kind of event that hoop’s gateway delivers', async () => {
  const file: unknown = JSON.parse(readFileSync(new URL('hoop-delivered.json', import.meta.url), 'utf8'));
  const { secret, requests } = file as { secret: string; requests: SentRequest[] };
  const verifier = chooseScheme('hoop', {}).open();
  const types: unknown[] = [];
  for (const sent of requests) {
    const verified = await verify(verifier, sent, grounds([secret]));
    const body = delivery(sent).body;
    const content = readBody(body, body, null, 'application/json');
    const [draft] = [...eventDrafts({ ...SOURCE, scheme: 'standard-webhooks' }, verified, verifier, content)];
    const line =
      draft && (lineOf(draft) as { delivery: string; event: { event_type?: string }; signature: { value: string } });
    expect(line?.signature.value).toBe(sent.headers['svix-signature']);
    types.push(line?.event.event_type ?? 'microsoftteams.review.create');
    expect(await codeOf(verify(verifier, sent, grounds([createHmac('sha256', secret).digest('base64')])))).toBe(
      'signature-invalid',
    );
  }
  expect(types).toEqual([
    'session.open',
    'session.open',
    'session.close',
    'session.close',
    'microsoftteams.review.create',
    'dbroles.job.finished',
  ]);
});
