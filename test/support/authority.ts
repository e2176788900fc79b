// A timestamp authority on loopback that answers as a test wants: rightly, wrongly, slowly or not at all.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { derSequence, integer } from '../../src/tsa/der.ts';
import { parseRequest } from '../../src/tsa/request.ts';
import { AUTHORITY, granting, makeAuthority, makeCa, makeToken, pem, type Signer, type TokenOptions } from './tsa.ts';

export interface TestAuthority extends AsyncDisposable {
  readonly url: string;
  /** PEM of its CA. */
  readonly ca: Uint8Array;
  readonly issuer: Signer;
  readonly signer: Signer;
  /** Of both certificates. */
  readonly validity: { readonly from: number; readonly to: number };
  /** Requests that came. */
  readonly requests: number;
  /** What is different about the next tokens. */
  spoil: (digest: Uint8Array) => Partial<TokenOptions>;
  /** In place of an answer with a token; null: there is one. */
  instead: Answer | null;
  /** What makes the response to a request instead, or gets it from another authority; null: itself. */
  reply: ((query: Uint8Array) => Promise<Uint8Array | Response>) | null;
}

export type Answer =
  | { readonly status: number; readonly headers?: Record<string, string> }
  | { readonly body: Uint8Array; readonly type?: string }
  | 'silence';

/** A rejection, as a response. */
export const REJECTION: Uint8Array = derSequence(derSequence(integer(2)));

const REPLY = 'application/timestamp-reply';
const DAY_MS = 24 * 3_600_000;

export async function testAuthority(name = 'Test TSA'): Promise<TestAuthority> {
  // Before the times that made-up rounds have.
  const [from, to] = [Date.UTC(2023, 0), Date.now() + DAY_MS];
  const ca = makeCa({ subject: `CA of ${name}`, from, to });
  const signer = makeAuthority(ca, { subject: name, extensions: AUTHORITY, from, to });
  let requests = 0;
  let serial = 0;
  const server = createServer(async (request, response) => {
    requests++;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { instead } = authority;
    if (instead === 'silence') return;
    if (instead !== null && 'status' in instead) return void response.writeHead(instead.status, instead.headers).end();
    if (instead !== null) {
      const type = instead.type ?? REPLY;
      return void response.writeHead(200, { 'content-type': type }).end(instead.body);
    }
    const query = new Uint8Array(Buffer.concat(chunks));
    if (authority.reply !== null) {
      const made = await authority.reply(query);
      const [status, type] =
        made instanceof Response ? [made.status, made.headers.get('content-type') ?? ''] : [200, REPLY];
      const bytes = made instanceof Response ? new Uint8Array(await made.arrayBuffer()) : made;
      return void response.writeHead(status, { 'content-type': type }).end(bytes);
    }
    const { digest, nonce, policy } = parseRequest(query);
    const time = new Date().toISOString().replaceAll(/[-:T]/g, '');
    const token = makeToken({
      signer,
      digest,
      nonce,
      time,
      serial: ++serial,
      ...(policy === null ? {} : { policy }),
      ...authority.spoil(digest),
    });
    response.writeHead(200, { 'content-type': REPLY }).end(granting(token));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port }: AddressInfo = Object.assign({ port: 0, address: '', family: '' }, server.address());
  const authority: TestAuthority = {
    url: `http://127.0.0.1:${port}/`,
    ca: new Uint8Array(Buffer.from(pem(ca.certificate))),
    issuer: ca,
    signer,
    validity: { from, to },
    get requests() {
      return requests;
    },
    spoil: () => ({}),
    instead: null,
    reply: null,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return authority;
}
