// Azure Event Grid: events in its own schema or as CloudEvents. It signs nothing; a secret in the address, or in a header
// that the subscription adds, says who sends. An answer of 400, 401, 403 or 413 makes it drop an event for good.

import { z } from 'zod';
import { type Json, JsonObject } from '../ingest/json.ts';
import { headerName } from './hmac.ts';
import { type Grounds, type Head, refused, sameSecret, scheme } from './scheme.ts';

const settingsForm = z.strictObject({
  header: headerName
    .nullable()
    .default(null)
    .meta({ description: 'A header with the secret. Without it only the address has the secret.' }),
  parameter: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,40}$/)
    .default('secret')
    .meta({ description: 'The parameter of the address with the secret.' }),
});
type EventGridSettings = z.output<typeof settingsForm>;

export const eventGrid = scheme(settingsForm, 'text', (settings) => ({
  // Section 4 of HTTP 1.1 Web Hooks for Event SignedRequest, by which CloudEvents begin.
  greet: ({ method, headers }) => {
    const origin = headers['webhook-request-origin'];
    if (method !== 'OPTIONS' || origin === undefined) return null;
    return { headers: { 'WebHook-Allowed-Origin': origin, 'WebHook-Allowed-Rate': '*' }, body: null };
  },
  admit: (head, grounds) => checkSecret(head, grounds, settings),
  verify: ({ headers }) => ({
    delivery: null,
    proof: {
      vouched: 'shared-secret',
      covers: [],
      details: { subscription: (headers['aeg-subscription-name'] ?? '').slice(0, 256) },
    },
  }),
  control: ({ headers }, event) => {
    if (headers['aeg-event-type'] !== 'SubscriptionValidation') return null;
    const validationResponse = validationCode(event);
    return validationResponse === null ? null : { body: { validationResponse } };
  },
  items: true,
  idOf: (event) => {
    const id = event instanceof JsonObject ? event.get('id') : null;
    return typeof id === 'string' ? id : null;
  },
}));

function checkSecret({ headers, query }: Head, { secrets }: Grounds, { header, parameter }: EventGridSettings): void {
  const value = (header === null ? undefined : headers[header]) ?? query[parameter];
  const where = header === null ? `?${parameter}=` : `${header} or ?${parameter}=`;
  if (value === undefined) throw refused('signature-missing', `there is no secret in ${where}`);
  if (!secrets.some((secret) => sameSecret(secret, value))) {
    throw refused('signature-invalid', `what is in ${where} is no secret of this source`);
  }
}

function validationCode(events: Json | null): string | null {
  const [event] = Array.isArray(events) ? events : [];
  if (!(event instanceof JsonObject) || event.get('eventType') !== 'Microsoft.EventGrid.SubscriptionValidationEvent') {
    return null;
  }
  const data = event.get('data');
  const code = data instanceof JsonObject ? data.get('validationCode') : null;
  return typeof code === 'string' ? code : null;
}
