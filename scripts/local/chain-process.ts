// A simulated chain in a process of its own: says where it listens as one JSON line, lives as long as its stdin is
// open. Started by chain.ts; arguments: port (0: any free one), chain id and hard fork.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { resolve } from 'node:path';
import { createHardhatRuntimeEnvironment } from 'hardhat/hre';
import { z } from 'zod';
import config from '../../hardhat.config.ts';
import { collectAtMost } from '../../src/core/bounded.ts';
import { parseJson } from '../../src/core/json.ts';
import { onParentGone } from './child.ts';
import { listenNear, refusalOf } from './ports.ts';

const MAX_BODY_BYTES = 16 << 20;
const INVALID_JSON = -32_700;
const INVALID_REQUEST = -32_600;
const INTERNAL = -32_603;
/** Of a transaction or call that reverts; its data is what the contract returned. */
const REVERTED = 3;

const Id = z.union([z.string(), z.number(), z.null()]);
const Request = z.object({
  id: Id.default(null),
  method: z.string(),
  params: z.union([z.array(z.unknown()), z.record(z.string(), z.unknown())]).default([]),
});
const Failure = z.object({ code: z.number().catch(INTERNAL), message: z.string(), data: z.unknown() });

onParentGone(() => process.exit(0));

const [port = 0, chainId = 31337] = process.argv.slice(2, 4).map(Number);
const [, , , , hardfork = 'osaka'] = process.argv;
const hre = await createHardhatRuntimeEnvironment(config, {}, resolve(import.meta.dirname, '../..'));
const { provider } = await hre.network.create({ network: 'default', override: { chainId, hardfork } });
// Not Hardhat's own server: that one answers every web page, and does not tell when its port is in use.
const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
// A client that a busy machine holds up for seconds would write into a connection that was closed meanwhile.
server.keepAliveTimeout = 0;
process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${await listenNear(server, port)}` })}\n`);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const refusal = refusalOf(request.headers);
  if (refusal !== null) return void response.writeHead(403, { 'content-type': 'text/plain' }).end(refusal);
  const { origin } = request.headers;
  if (origin !== undefined) {
    response.setHeader('Access-Control-Allow-Origin', origin).setHeader('Vary', 'Origin');
    response.setHeader('Access-Control-Allow-Headers', 'content-type');
  }
  if (request.method === 'OPTIONS') return void response.writeHead(204).end();
  const body = await collectAtMost(request, MAX_BODY_BYTES);
  const asked = body === null ? undefined : parseJson(body);
  const answers = Array.isArray(asked) ? await Promise.all(asked.map(resultOf)) : await resultOf(asked);
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answers));
}

async function resultOf(asked: unknown): Promise<object> {
  const parsed = Request.safeParse(asked);
  if (!parsed.success) {
    const code = asked === undefined ? INVALID_JSON : INVALID_REQUEST;
    return { jsonrpc: '2.0', id: null, error: { code, message: 'not a JSON-RPC request' } };
  }
  const { id, method, params } = parsed.data;
  try {
    return { jsonrpc: '2.0', id, result: await provider.request({ method, params }) };
  } catch (error) {
    return { jsonrpc: '2.0', id, error: failureOf(error) };
  }
}

/** As nodes tell it: of a revert the bare data. */
function failureOf(error: unknown): z.output<typeof Failure> {
  const failure = Failure.safeParse(error);
  if (!failure.success) return { code: INTERNAL, message: String(error), data: undefined };
  const { code, message, data } = failure.data;
  const returned = z.object({ data: z.string() }).safeParse(data);
  return { code, message, data: code === REVERTED && returned.success ? returned.data.data : data };
}
