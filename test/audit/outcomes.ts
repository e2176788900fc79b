// What an attack shows to each audit, and what each finds: one table, in which they must agree.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect } from 'vitest';
import { sha256 } from '#sha256';
import type { Audit } from '../../src/audit/checks/verdict.ts';
import { type AuditSource, isSourceFailure } from '../../src/audit/remote/source.ts';
import { toHex } from '../../src/core/bytes.ts';
import { exitCode } from '../../src/core/verdict.ts';
import { serve } from '../../src/main.ts';
import { realEffects } from '../../src/start/foundation.ts';
import { asAdministrator } from '../support/history.ts';
import { ORIGIN } from '../support/instance.ts';
import { testConfig } from '../support/service.ts';
import { temporaryFolder } from './ground.ts';

/** What one audit saw and found. */
export interface Outcome {
  /** Whether what it reads is not what it was before the attack. */
  readonly visible: boolean;
  /** Text: why it could not be made. */
  readonly audit: Audit | string;
}

/** Gathers what attacks came to. */
export class Outcomes {
  readonly #rows: string[][] = [];

  /** Puts an attack down, and expects that the audits agree. @param database null: it has no part in this attack */
  add(attack: string, database: Outcome | null, remote: Outcome): void {
    const seen = (outcome: Outcome | null): string => (outcome === null ? '–' : outcome.visible ? 'yes' : 'no');
    const agreed = agreement(database, remote);
    this.#rows.push([attack, seen(database), foundBy(database), seen(remote), foundBy(remote), agreed]);
    expect([attack, agreed, foundBy(database), foundBy(remote)]).not.toContain('NO');
  }

  get count(): number {
    return this.#rows.length;
  }

  print(): string {
    const rows = [['attack', 'seen', 'database finds', 'seen', 'remote finds', 'agree'], ...this.#rows];
    const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
    return rows
      .map((row) =>
        row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd(),
      )
      .join('\n');
  }
}

/** Code and place of what an audit found first, and its exit code. */
function foundBy(outcome: Outcome | null): string {
  if (outcome === null) return '–';
  const { audit } = outcome;
  if (typeof audit === 'string') return `cannot read on: ${audit}`;
  return `${firstOf(audit)} (${exitCode(audit.verdict)})`;
}

function firstOf({ findings: [first] }: Audit): string {
  if (first === undefined) return 'nothing';
  const { code, log, index, round } = first;
  return [code, log, index, round === null ? null : `round ${round}`].filter((part) => part !== null).join(' ');
}

function agreement(database: Outcome | null, remote: Outcome): string {
  if (database === null) return '–';
  if (typeof database.audit === 'string') return 'NO';
  // A service that does not answer shows nothing that could be held against it.
  if (typeof remote.audit === 'string')
    return remote.visible && firstOf(database.audit) !== 'nothing' ? 'no answer' : 'NO';
  const [one, other] = [firstOf(database.audit), firstOf(remote.audit)];
  if (database.visible === remote.visible) return one === other ? 'yes' : 'NO';
  return (database.visible ? other : one) === 'nothing' ? 'seen by one' : 'NO';
}

/** The tables that an audit by the database reads. */
const AUDITED = [
  'anchors',
  'api_keys',
  'blocks',
  'checkpoints',
  'digest_batches',
  'digest_runs',
  'evm_accounts',
  'evm_blocks',
  'evm_evidence',
  'evm_transactions',
  'log_heads',
  'log_keys',
  'logs',
  'merged_digests',
  'packed_leaves',
  'retention_state',
  'round_logs',
  'rounds',
  'targets',
  'tiles',
];

/** SHA-256 over all rows that an audit by the database reads. */
export async function fingerprint(databaseUrl: string): Promise<string> {
  return asAdministrator(databaseUrl, async (client) => {
    const parts: string[] = [];
    for (const name of AUDITED) {
      const { rows } = await client.query<{ hash: string }>(
        `SELECT md5(coalesce(string_agg(md5(t::text), '' ORDER BY md5(t::text)), '')) AS hash FROM ${name} t`,
      );
      parts.push(`${name} ${rows[0]?.hash}`);
    }
    return toHex(sha256(Buffer.from(parts.join('\n'))));
  });
}

/** A source that remembers what was read of another. */
export class RecordedSource implements AuditSource {
  /** By path: SHA-256 of the bytes, empty where there are none, or the code of an error. */
  readonly #answers: Map<string, string>;
  readonly #source: AuditSource;

  constructor(source: AuditSource, answers: Map<string, string>) {
    this.#source = source;
    this.#answers = answers;
  }

  describe(): string {
    return this.#source.describe();
  }

  async read(path: string, most: number): Promise<Uint8Array | null> {
    try {
      const bytes = await this.#source.read(path, most);
      this.#answers.set(path, bytes === null ? '' : toHex(sha256(bytes)));
      return bytes;
    } catch (error) {
      this.#answers.set(path, isSourceFailure(error) ? error.code : 'failed');
      throw error;
    }
  }

  close(): void {
    this.#source.close();
  }
}

/** Whether anything was answered otherwise than before. */
export function differs(answers: ReadonlyMap<string, string>, before: ReadonlyMap<string, string>): boolean {
  return [...answers].some(([path, answer]) => before.get(path) !== answer);
}

/** Runs the real service over a database of the tests' own service, for as long as `work` takes. */
export async function serving<T>(databaseUrl: string, work: (url: string) => Promise<T>): Promise<T> {
  const folder = await temporaryFolder();
  try {
    const config = await testConfig(databaseUrl, folder.path, { open: true, origin: ORIGIN });
    await writeFile(join(folder.path, 'seed'), '07'.repeat(32));
    const running = await serve(config, pino({ level: 'silent' }), { effects: realEffects });
    try {
      return await work(running.url ?? '');
    } finally {
      await running.stop();
    }
  } finally {
    await folder.remove();
  }
}
