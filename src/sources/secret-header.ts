// A secret that the sender repeats in a header: nothing is signed. Auth0, Okta, Cloudflare, Datadog and GitLab send so.

import { z } from 'zod';
import { headerName } from './hmac.ts';
import { deliveryHeader, type Grounds, type Head, refused, requiredHeader, sameSecret, scheme } from './scheme.ts';

const settingsForm = z.strictObject({
  header: headerName.default('authorization').meta({ description: 'The header with the secret as its whole value.' }),
  deliveryHeader: headerName.nullable().default(null).meta({ description: 'The header with the id of a delivery.' }),
  challengeHeader: headerName
    .nullable()
    .default(null)
    .meta({ description: 'A GET with this header is answered {"verification": "…"} with its value.' }),
  items: z
    .boolean()
    .default(true)
    .meta({ description: 'Whether the elements of an array, or the lines of a body, are entries of their own.' }),
});

const CHALLENGE = /^[\x21-\x7e]{1,1024}$/;

export const secretHeader = scheme(settingsForm, 'text', (settings) => {
  const { header, challengeHeader, items } = settings;
  return {
    greet: ({ method, headers }) => {
      const value = challengeHeader === null ? undefined : headers[challengeHeader];
      return method === 'GET' && value !== undefined && CHALLENGE.test(value)
        ? { body: { verification: value } }
        : null;
    },
    admit: (head, grounds) => checkHeader(head, grounds, header),
    verify: (delivery) => ({
      delivery: deliveryHeader(delivery, settings.deliveryHeader),
      proof: { vouched: 'shared-secret', covers: [], details: { header } },
    }),
    ...(items ? { items } : {}),
  };
});

function checkHeader(head: Head, { secrets }: Grounds, header: string): void {
  const value = requiredHeader(head, header);
  if (!secrets.some((secret) => sameSecret(secret, value))) {
    throw refused('signature-invalid', `the header ${header} does not hold a secret of this source`);
  }
}
