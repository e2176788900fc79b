// What auditors from outside read beside tiles (docs/formats.md, "Mirror"), in the API and in the archive alike.

import { toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { formatVerifierKey } from '../core/note.ts';
import type { Anchor } from '../core/receipt.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { formatTime } from '../core/time.ts';
import type { EntryReader } from '../log/entries.ts';
import type { Log } from '../log/log.ts';
import type { Checkpoints } from '../log/publish.ts';
import type { Registry } from '../log/registry.ts';
import { readLogKeys } from '../log/rotation.ts';
import type { Queryable } from '../store/database.ts';
import { beaconsOf } from './receipts.ts';
import { type Round, readLeaves } from './rounds.ts';

/** What an audit needs to know of the service. @param rounds the newest that is shown */
export async function shownService(
  database: Queryable,
  { system, serviceOrigin }: Pick<Registry, 'system' | 'serviceOrigin'>,
  rounds: number,
  chains: readonly object[],
): Promise<object> {
  const verifierKeys = await verifierKeysOf(database, system);
  const verifierKey = verifierKeys.at(-1);
  return { format: 'antequem-service/v1', origin: serviceOrigin, verifierKey, verifierKeys, rounds, chains };
}

/** All keys that a log ever had, as verifiers name them: those that were retired signed what came before. */
export async function verifierKeysOf(database: Queryable, log: Log): Promise<string[]> {
  const keys = (await readLogKeys(database, [log])).get(log.id) ?? [];
  return keys.map(({ publicKey }) => formatVerifierKey(log.origin, publicKey));
}

/** The acts in `width` entries of `_system` from `begin` on, one a line. */
export async function shownActs(entries: EntryReader, system: Log, begin: number, width: number): Promise<string> {
  const payloads = await entries.payloads(system, begin, begin + width);
  return payloads.map((payload) => `${payload === null ? '' : Buffer.from(payload).toString('utf8')}\n`).join('');
}

/** A round without its leaves. */
export function shownRound(round: Round, anchors: readonly Anchor[]): object {
  return {
    number: round.number,
    closedAt: formatTime(round.closedAt),
    previousRoot: toHex(round.previousRoot),
    beacons: beaconsOf(round),
    root: toHex(round.root),
    size: round.size,
    anchors,
  };
}

/** Leaves 256 · `bundle` and on, each with its checkpoint, which is signed now where nobody asked for it before. */
export async function shownLeaves(
  database: Queryable,
  checkpoints: Pick<Checkpoints, 'at'>,
  round: Round,
  bundle: number,
): Promise<object[]> {
  const rows = await readLeaves(database, round.number, bundle * TILE_WIDTH, (bundle + 1) * TILE_WIDTH);
  return Promise.all(
    rows.map(async ({ leaf, of }) => {
      const signed = of === null ? null : await checkpoints.at(of.log, of.size).catch(withoutConflict);
      return { leaf: toHex(leaf), ...(signed === null ? {} : { checkpoint: signed.note }) };
    }),
  );
}

const DAMAGE: ReadonlySet<string> = new Set(['checkpoint-conflict', 'log-damaged']);

/** A leaf that contradicts its log is shown without a checkpoint, which an audit finds. */
function withoutConflict(error: unknown): null {
  if (error instanceof AntequemError && DAMAGE.has(error.code)) return null;
  throw error;
}
