// A simulated chain of its own process: says where it listens as one JSON line, lives as long as its stdin is open.
// Started by chain.ts; arguments: port (0: any free one) and chain id.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { createHardhatRuntimeEnvironment } from 'hardhat/hre';
import config from '../../hardhat.config.ts';

const HOST = '127.0.0.1';

// ^C and a closed terminal reach the whole group: the launcher decides, and stops its chain last.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('SIGTERM', () => process.exit(0));
// Whatever ends the parent closes the pipe, a kill included.
process.stdin.on('end', () => process.exit(0));
process.stdin.on('error', () => process.exit(0));
process.stdin.resume();

const [port = 0, chainId = 31337] = process.argv.slice(2).map(Number);
const hre = await createHardhatRuntimeEnvironment(config, {}, resolve(import.meta.dirname, '../..'));
const connection = { network: 'default', override: { chainId } };
const server = await hre.network.createServer(connection, HOST, await freePort(port));
const address = await server.listen();
process.stdout.write(`${JSON.stringify({ url: `http://${HOST}:${address.port}` })}\n`);

/** The port, or 0 if somebody has it: Hardhat's server has no way to report that. */
async function freePort(wanted: number): Promise<number> {
  if (wanted === 0) return 0;
  const probe = createServer();
  try {
    probe.listen(wanted, HOST);
    await once(probe, 'listening');
    return wanted;
  } catch {
    return 0;
  } finally {
    probe.close();
  }
}
