// A timestamp authority that stamps the rounds of local mode, as those of others do elsewhere. It is apart from the service,
// whose own tokens are leaves of rounds: stamping a round by one would cause the next round, for ever.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { collectAtMost } from '../../src/core/bounded.ts';
import { Issuer } from '../../src/tsa/issuer.ts';
import type { AuthorityConfig } from '../../src/tsa/target.ts';
import { LOCAL_POLICY, localAuthority } from './authority.ts';
import { listenNear, refusalOf } from './ports.ts';

export interface StampingAuthority {
  /** As the target of the service. */
  readonly config: AuthorityConfig;
  /** What those trust who want to see its tokens hold. */
  readonly caFile: string;
  close(): void;
}

/** A request has a digest, a nonce and a policy. */
const MAX_REQUEST_BYTES = 2_048;

/** On loopback, at a free port: nobody but the service asks it. */
export async function startStamping(dataDir: string): Promise<StampingAuthority> {
  const { certFile, keyFile, caFile } = localAuthority(dataDir, Date.now(), 'stamps');
  const issuer = new Issuer({
    certificates: new Uint8Array(readFileSync(certFile)),
    key: new Uint8Array(readFileSync(keyFile)),
    policy: LOCAL_POLICY,
    now: Date.now,
    random: (length) => new Uint8Array(randomBytes(length)),
    clockAhead: async () => 0,
    // It has no log.
    log: async () => {},
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refusal = refusalOf(request.headers);
    const query = refusal === null ? await collectAtMost(request, MAX_REQUEST_BYTES) : null;
    if (query === null || request.headers['content-type'] !== 'application/timestamp-query') {
      response.writeHead(refusal === null ? 415 : 403).end(refusal ?? 'send a request for a timestamp');
      return;
    }
    response.writeHead(200, { 'content-type': 'application/timestamp-reply' }).end(await issuer.answer(query));
  };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  const port = await listenNear(server, 0);
  const certificates = new Uint8Array(readFileSync(caFile));
  return {
    config: { name: 'stamps', url: `http://127.0.0.1:${port}/`, certificates, policy: null, pace: 0, ephemeral: true },
    caFile,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
