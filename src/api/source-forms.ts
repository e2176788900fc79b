// What goes into and comes out of the routes of sources, and what the reference says of them.

import { z } from 'zod';
import { SETTING_TYPES } from '../sources/choices.ts';
import { SCHEME_CHOICES } from '../sources/scheme-names.ts';
import { MAX_SECRET_CHARACTERS } from '../sources/secrets.ts';
import { MAX_SOURCES } from '../sources/sources.ts';
import { described, jsonAnswer } from './description.ts';
import { countForm, timeForm } from './forms.ts';

const MAX_KEEP_SECONDS = 30 * 86_400;

const keyForm = z.string().meta({ description: 'The id of a source, or its name.' });
const addressForm = z.string().meta({ description: 'The id of a source.' });
const settingsForm = z.record(z.string(), z.json()).meta({
  description: 'What differs from the defaults. `GET /v1/source-schemes` lists the settings of each scheme and sender.',
});
/** The answer to a sender that only tries the address. */
const probeForm = z.strictObject({});
const secretForm = z.string().max(MAX_SECRET_CHARACTERS);

export const createSourceBody = z.strictObject({
  name: z.string().max(63).meta({ description: '`[a-z0-9][a-z0-9._-]{0,62}`' }),
  log: z.string().meta({ description: 'The name of the log that its events go into.' }),
  scheme: z.string().meta({ description: `One of ${SCHEME_CHOICES.map((choice) => `\`${choice}\``).join(', ')}.` }),
  settings: settingsForm.optional(),
  secret: secretForm.optional().meta({
    description: 'The secret that the sender made; absent: one is made here. For an API its token.',
  }),
});
export const rotateSourceBody = z.strictObject({
  secret: secretForm.optional().meta({ description: 'The new one; absent: one is made here.' }),
  settings: settingsForm.optional(),
  keepSeconds: z
    .int()
    .min(0)
    .max(MAX_KEEP_SECONDS)
    .default(86_400)
    .meta({ description: 'How long the older secrets stay valid, in seconds.' }),
});

export const sourceForm = z
  .object({
    id: z.string().regex(/^src_[0-9a-f]{32}$/),
    name: z.string(),
    scheme: z.string(),
    settings: z.looseObject({}),
    log: z.string(),
    path: z.string().meta({ description: 'Where the sender sends to. An API that is fetched from does not use it.' }),
    createdAt: timeForm,
    receivedAt: timeForm.nullable().meta({ description: 'When something came last; behind by up to ten seconds.' }),
    refusedAt: timeForm.nullable().meta({ description: 'When something was refused last.' }),
    refusal: z.string().nullable().meta({ description: 'The code of that.' }),
    secrets: z.array(z.object({ number: countForm, createdAt: timeForm, expiresAt: timeForm.nullable() })),
  })
  .meta({ id: 'Source' });
const withSecret = z.intersection(
  sourceForm,
  z.object({
    secret: z
      .string()
      .nullable()
      .meta({ description: 'Shown here and never again; null: the sender signs by its own key.' }),
  }),
);

const choiceForm = z
  .object({
    name: z.string().meta({ description: 'The `scheme` to make a source with: a scheme, a sender or an API.' }),
    scheme: z.string().meta({ description: 'The scheme that checks its requests.' }),
    kind: z.enum(['webhook', 'pull']).meta({ description: '`pull`: a worker fetches the events.' }),
    secret: z
      .enum(['made', 'given', 'none'])
      .meta({ description: '`made`: one is made if none is given; `given`: it must be given.' }),
    settings: z.array(
      z.object({
        name: z.string(),
        type: z.enum(SETTING_TYPES).meta({ description: '`list`: an array of strings; `json`: any other JSON.' }),
        says: z.string().meta({ description: 'What it is for.' }),
        required: z.boolean(),
        nullable: z.boolean(),
        default: z.json().meta({ description: 'Null: there is none.' }),
        values: z.array(z.string()).meta({ description: 'Those of a `choice`.' }),
      }),
    ),
  })
  .meta({ id: 'SourceScheme' });

export const listSchemesOperation = described({
  id: 'listSourceSchemes',
  tag: 'Sources',
  summary: 'List schemes and senders, with their settings',
  access: 'admin',
  answers: { 200: jsonAnswer('All that a source can be made with.', z.object({ schemes: z.array(choiceForm) })) },
});

export const createSourceOperation = described({
  id: 'createSource',
  tag: 'Sources',
  summary: 'Make a source',
  description: `A sender of signed webhooks whose events are logged without an API key. ${MAX_SOURCES} sources at most.`,
  access: 'admin',
  body: { 'application/json': createSourceBody },
  answers: { 201: { ...jsonAnswer('It takes requests.', withSecret), headers: { Location: 'Its path.' } } },
  problems: [
    'json-invalid',
    'log-name-invalid',
    'log-not-found',
    'log-reserved',
    'source-exists',
    'source-invalid',
    'sources-full',
  ],
});

export const listSourcesOperation = described({
  id: 'listSources',
  tag: 'Sources',
  summary: 'List sources',
  access: 'admin',
  answers: { 200: jsonAnswer('All of them, by name.', z.object({ sources: z.array(sourceForm) })) },
});

export const readSourceOperation = described({
  id: 'readSource',
  tag: 'Sources',
  summary: 'Read a source, or answer its sender’s challenge',
  description:
    'A GET by which the sender asks whether the address is right, such as Okta’s with `X-Okta-Verification-Challenge`, needs ' +
    'no key and is answered as the sender wants.',
  access: 'admin',
  path: { source: keyForm },
  answers: {
    200: jsonAnswer(
      'The source without its secrets, or the challenge.',
      z.union([sourceForm, z.object({ verification: z.string() }), probeForm]),
    ),
  },
  problems: ['source-not-found'],
});

export const rotateSourceOperation = described({
  id: 'rotateSource',
  tag: 'Sources',
  summary: 'Give a source another secret, or other settings',
  description: 'The older secrets stay valid for a while. A source has at most four.',
  access: 'admin',
  path: { source: keyForm },
  body: { 'application/json': rotateSourceBody },
  answers: { 200: jsonAnswer('The source, and the new secret.', withSecret) },
  problems: ['json-invalid', 'source-invalid', 'source-not-found', 'source-secrets-full'],
});

export const removeSourceOperation = described({
  id: 'removeSource',
  tag: 'Sources',
  summary: 'Remove a source',
  description: 'What it logged stays.',
  access: 'admin',
  path: { source: keyForm },
  answers: {
    200: jsonAnswer('Requests to it are refused from now on.', z.object({ id: z.string(), removed: z.literal(true) })),
  },
  problems: ['source-not-found'],
});

export const receivedForm = z
  .object({
    count: countForm.meta({ description: 'Events that were new.' }),
    index: countForm.nullable().meta({ description: 'Of the first of those; null where there is none.' }),
    repeated: countForm.meta({ description: 'Events that the log held already.' }),
  })
  .meta({ id: 'Received' });

export const deliverOperation = described({
  id: 'deliverToSource',
  tag: 'Sources',
  summary: 'A signed webhook',
  description:
    'A request as the sender of the source sends it. It needs no API key: the signature, or the secret, is checked as the ' +
    'scheme of the source says, and nothing is logged of a request that fails the check. Each event is logged once, however ' +
    'often it is delivered. Pings, challenges and subscriptions are answered as the sender wants. At most 25 MiB.',
  access: 'public',
  path: { source: addressForm },
  body: { '*': 'bytes' },
  answers: {
    200: jsonAnswer(
      'All of it is durable, or what the sender asked is answered.',
      z.union([
        receivedForm,
        z.object({ challenge: z.string() }),
        z.object({ validationResponse: z.string() }),
        probeForm,
      ]),
    ),
    204: { says: 'It brought no event.' },
  },
  problems: [
    'batch-too-large',
    'clock-skew',
    'database-set-back',
    'log-not-found',
    'sender-unreachable',
    'signature-invalid',
    'signature-late',
    'signature-missing',
    'source-not-found',
    'source-sealed',
  ],
});

export const greetOperation = described({
  id: 'allowSender',
  tag: 'Sources',
  summary: 'The handshake of senders of CloudEvents',
  description:
    'Section 4 of HTTP 1.1 Web Hooks for Event Delivery, as Event Grid asks; its events are checked all the same.',
  access: 'public',
  path: { source: addressForm },
  headers: z.object({ 'WebHook-Request-Origin': z.string().optional() }),
  answers: {
    204: {
      says: 'The methods of the path; for a source of Event Grid, that the sender may send.',
      headers: {
        'WebHook-Allowed-Origin': 'The origin that asked.',
        'WebHook-Allowed-Rate': '`*`',
        Allow: 'The methods.',
      },
    },
  },
});
