// Drains of Vercel: batches as arrays or lines, with an HMAC over the body as its webhooks have. vercel.com/docs/drains. Before it
// makes a drain, Vercel asks the address without a signature, and wants a code of the team in the header of every answer.

import { z } from 'zod';
import { JsonObject } from '../ingest/json.ts';
import { bodyProof } from './hmac.ts';
import { scheme } from './scheme.ts';

const SIGNATURE = { header: 'x-vercel-signature', hash: 'sha1', encoding: 'hex', prefix: '' } as const;

const settingsForm = z.strictObject({
  verify: z
    .string()
    .regex(/^[\x21-\x7e]{1,256}$/, 'not the code that Vercel shows')
    .nullable()
    .default(null)
    .meta({ description: 'The code that Vercel shows for the header x-vercel-verify.' }),
});

export const vercelDrain = scheme(settingsForm, 'text', ({ verify }) => ({
  ...(verify === null ? {} : { answerHeaders: { 'x-vercel-verify': verify } }),
  greet: ({ method, headers: { authorization, cookie } }) =>
    (method === 'GET' || method === 'HEAD') && authorization === undefined && cookie === undefined
      ? { body: {} }
      : null,
  probe: ({ headers, body }) =>
    headers[SIGNATURE.header] === undefined && /^(\{\})?$/.test(Buffer.from(body.subarray(0, 3)).toString('latin1'))
      ? { body: {} }
      : null,
  verify: (delivery, grounds) => ({ delivery: null, proof: bodyProof(delivery, grounds, SIGNATURE) }),
  items: true,
  idOf: (event) => {
    const id = event instanceof JsonObject ? event.get('id') : null;
    return typeof id === 'string' ? id : null;
  },
}));
