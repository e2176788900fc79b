// Makes, lists, changes and removes sources, and finds the one that a request is for.

import { AntequemError, FormatError } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { checkLogName } from '../core/origin.ts';
import type { Log } from '../log/log.ts';
import type { Registry } from '../log/registry.ts';
import type { Sequencing } from '../log/sequence.ts';
import { recordedTransaction } from '../log/system.ts';
import type { Database, Queryable } from '../store/database.ts';
import { takeLock } from '../store/service-name.ts';
import type { PulledApi } from './pulled/api.ts';
import { type ChosenApi, chooseApi } from './pulled/apis.ts';
import type { SenderCheck } from './scheme.ts';
import { type Chosen, chooseScheme } from './schemes.ts';
import type { Sealing } from './sealing.ts';
import { belongsTo, insertSecret, resealSecrets, secretFor } from './secrets.ts';

/** Each is a label of metrics. */
export const MAX_SOURCES = 200;
/** Of one source at once. */
const MAX_SECRETS = 4;
/** How long a removed source may still be taken from in a process that saw it before. */
const CACHE_MS = 5_000;

const ID = /^src_[0-9a-f]{32}$/;

/** A source without its secrets. Times are milliseconds since the Unix epoch. */
export interface Source {
  readonly id: string;
  readonly name: string;
  readonly scheme: string;
  readonly settings: object;
  /** The log's name. */
  readonly log: string;
  readonly createdAt: number;
  readonly receivedAt: number | null;
  readonly refusedAt: number | null;
  /** The code of the last refusal. */
  readonly refusal: string | null;
  readonly secrets: readonly {
    readonly number: number;
    readonly createdAt: number;
    readonly expiresAt: number | null;
  }[];
}

/** A source as a request is checked against it. */
export interface OpenSource {
  readonly source: Pick<Source, 'id' | 'name' | 'scheme' | 'log'>;
  readonly check: SenderCheck;
  /** The newest first. */
  readonly secrets: readonly string[];
}

/** A source that is fetched from. */
export interface PulledSource {
  readonly source: Pick<Source, 'id' | 'name' | 'scheme'>;
  readonly api: PulledApi;
  readonly token: string;
  readonly log: Log;
  /** Milliseconds between two looks for something new. */
  readonly pauseMs: number;
}

export interface NewSource {
  readonly name: string;
  readonly log: string;
  /** A scheme, or a sender that is known by name. */
  readonly scheme: string;
  readonly settings?: object | undefined;
  /** Absent: one is made, where the scheme has one. */
  readonly secret?: string | undefined;
}

export interface Rotation {
  readonly secret?: string | undefined;
  /** What differs from the settings so far. */
  readonly settings?: object | undefined;
  /** How long the older secrets stay valid. */
  readonly keepSeconds: number;
}

interface SourceRow {
  id: string;
  name: string;
  kind: string;
  scheme: string;
  settings: object;
  log: string;
  created_at: number;
  received_at: number | null;
  refused_at: number | null;
  refusal: string | null;
  secrets: { number: number; sealed: string; createdAt: number; expiresAt: number | null }[];
}

const SELECT = `
  SELECT s.id, s.name, s.kind, s.scheme, s.settings, l.name AS log, s.created_at, s.received_at, s.refused_at, s.refusal,
         coalesce((SELECT jsonb_agg(jsonb_build_object('number', number, 'sealed', encode(sealed, 'hex'),
                     'createdAt', created_at, 'expiresAt', expires_at) ORDER BY number DESC)
                   FROM source_secrets WHERE source = s.id), '[]') AS secrets
  FROM sources s JOIN logs l ON l.id = s.log`;

export interface SourcesParts {
  readonly database: Database;
  readonly registry: Registry;
  readonly sequencing: Sequencing;
  readonly sealing: Sealing;
}

export class Sources {
  readonly #parts: SourcesParts;
  readonly #cache = new LruCache<string, { readonly row: SourceRow | null; readonly readAt: number }>(2 * MAX_SOURCES);
  /** Kept while the settings stay: a check remembers keys and certificates of its sender. */
  readonly #checks = new LruCache<string, { readonly settings: string; readonly check: SenderCheck }>(MAX_SOURCES);

  constructor(parts: SourcesParts) {
    this.#parts = parts;
  }

  /**
   * Makes a source. The secret is returned here and never again; null where the scheme has none.
   * @throws FormatError `source-invalid`, `log-name-invalid`; AntequemError `log-not-found`, `log-reserved`, `source-exists`,
   *   `sources-full`
   */
  async create({
    name,
    log,
    scheme,
    settings = {},
    secret,
  }: NewSource): Promise<{ source: Source; secret: string | null }> {
    const { database, registry, sequencing, sealing } = this.#parts;
    const { now, random } = sequencing.effects;
    if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(name)) {
      throw new FormatError('source-invalid', 'the name of a source matches [a-z0-9][a-z0-9._-]{0,62}');
    }
    const chosen = choose(scheme, settings);
    const newSecret = secretFor(chosen.secret, secret, random);
    const into = await this.#log(log);
    const id = `src_${Buffer.from(random(16)).toString('hex')}`;
    await recordedTransaction(database, registry.system, sequencing, async (tx) => {
      await takeLock(tx, 'sources');
      const { rows } = await tx.query<{ count: number; taken: boolean }>(
        'SELECT count(*)::int AS count, coalesce(bool_or(name = $1), false) AS taken FROM sources',
        [name],
      );
      if (rows[0]?.taken === true) throw new AntequemError('source-exists', `there is a source ${name} already`);
      if ((rows[0]?.count ?? 0) >= MAX_SOURCES) {
        throw new AntequemError('sources-full', `there are ${MAX_SOURCES} sources already: remove one first`);
      }
      await tx.query(
        `INSERT INTO sources (id, name, kind, scheme, settings, log, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
        [id, name, kindOf(chosen), chosen.scheme, JSON.stringify(chosen.settings), into.id, now()],
      );
      if ('kind' in chosen) {
        const since = chosen.settings.from === undefined ? now() : Date.parse(chosen.settings.from);
        await tx.query('INSERT INTO source_cursors (source, since, until, next_at) VALUES ($1, $2, $2, $3)', [
          id,
          since,
          now(),
        ]);
      }
      if (newSecret !== null) await insertSecret(tx, sealing, { source: id, number: 1, secret: newSecret, now: now() });
      const { settings, scheme } = chosen;
      return {
        result: undefined,
        acts: [{ act: 'source-created', source: id, name, log: into.origin, scheme, settings }],
      };
    });
    this.#cache.delete(id);
    return { source: await this.read(id), secret: newSecret };
  }

  /** All, by name. */
  async list(): Promise<Source[]> {
    const { rows } = await this.#parts.database.query<SourceRow>(`${SELECT} ORDER BY s.name`);
    return rows.map((row) => this.#view(row));
  }

  /** @param key id or name. @throws AntequemError `source-not-found` */
  async read(key: string): Promise<Source> {
    return this.#view(await this.#demand(this.#parts.database, key));
  }

  /**
   * Gives a source another secret, or other settings. The older secrets stay valid for a while.
   * @returns the secret, told here and never again; null where the scheme has none
   * @throws FormatError `source-invalid`; AntequemError `source-not-found`, `source-secrets-full`
   */
  async rotate(key: string, rotation: Rotation): Promise<{ source: Source; secret: string | null }> {
    const { database, registry, sequencing, sealing } = this.#parts;
    const { now, random } = sequencing.effects;
    const { id, secret } = await recordedTransaction(database, registry.system, sequencing, async (tx) => {
      const row = await this.#demand(tx, key, true);
      const chosen = choose(row.scheme, { ...row.settings, ...rotation.settings });
      const settings = rotation.settings === undefined ? null : chosen.settings;
      if (chosen.secret === 'none' && settings === null) {
        throw new FormatError('source-invalid', `a source of ${row.scheme} has no secret here: give other settings`);
      }
      // Only a change of settings was asked for.
      const made =
        settings !== null && rotation.secret === undefined ? null : secretFor(chosen.secret, rotation.secret, random);
      if (settings !== null) {
        await tx.query('UPDATE sources SET settings = $2 WHERE id = $1', [row.id, JSON.stringify(settings)]);
      }
      let number: number | null = null;
      if (made !== null) {
        await tx.query('DELETE FROM source_secrets WHERE source = $1 AND expires_at <= $2', [row.id, now()]);
        const active = row.secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt > now());
        if (active.length >= MAX_SECRETS) {
          throw new AntequemError(
            'source-secrets-full',
            `the source takes ${MAX_SECRETS} secrets already: wait until one expires, or rotate with keepSeconds 0`,
          );
        }
        const until = now() + rotation.keepSeconds * 1_000;
        await tx.query('UPDATE source_secrets SET expires_at = least(coalesce(expires_at, $2), $2) WHERE source = $1', [
          row.id,
          until,
        ]);
        number = (row.secrets[0]?.number ?? 0) + 1;
        await insertSecret(tx, sealing, { source: row.id, number, secret: made, now: now() });
      }
      const act = { act: 'source-changed', source: row.id, secret: number, settings } as const;
      return { result: { id: row.id, secret: made }, acts: [act] };
    });
    this.#cache.delete(id);
    return { source: await this.read(id), secret };
  }

  /** @returns the id of the source. @throws AntequemError `source-not-found` */
  async remove(key: string): Promise<string> {
    const { database, registry, sequencing } = this.#parts;
    const id = await recordedTransaction(database, registry.system, sequencing, async (tx) => {
      const row = await this.#demand(tx, key, true);
      await tx.query('DELETE FROM sources WHERE id = $1', [row.id]);
      return { result: row.id, acts: [{ act: 'source-removed', source: row.id }] };
    });
    this.#cache.delete(id);
    this.#checks.delete(id);
    return id;
  }

  /**
   * The source that requests to this id are checked against; null where there is none.
   * @throws AntequemError `source-sealed`
   */
  async find(id: string): Promise<OpenSource | null> {
    if (!ID.test(id)) return null;
    const row = await this.#cached(id);
    if (row === null || row.kind !== 'webhook') return null;
    return { source: row, check: this.#check(row), secrets: this.#secrets(row) };
  }

  /**
   * The source of this id that is fetched from; null where there is none.
   * @throws AntequemError `source-sealed`
   */
  async findPulled(id: string): Promise<PulledSource | null> {
    const row = await this.#cached(id);
    const log = row === null ? null : await this.#parts.registry.find(row.log);
    const chosen = row === null ? null : chooseApi(row.scheme, row.settings);
    if (row === null || log === null || chosen === null) return null;
    const [token = ''] = this.#secrets(row);
    return { source: row, api: chosen.open(), token, log, pauseMs: chosen.settings.pauseSeconds * 1_000 };
  }

  /** Those that are valid now, the newest first. @throws AntequemError `source-sealed` */
  #secrets({ id, name, secrets }: SourceRow): string[] {
    const now = this.#parts.sequencing.effects.now();
    const valid = secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt > now);
    const opened = valid.flatMap(({ number, sealed }) => {
      const found = this.#parts.sealing.open(Buffer.from(sealed, 'hex'), belongsTo(id, number));
      return found === null ? [] : [found.secret];
    });
    if (opened.length > 0 || valid.length === 0) return opened;
    throw new AntequemError(
      'source-sealed',
      `the secret of the source ${name} was sealed under a seed that this process does not have`,
    );
  }

  /** What checks requests to this id, without secrets; null where there is no such source. */
  async checkOf(id: string): Promise<SenderCheck | null> {
    const row = ID.test(id) ? await this.#cached(id) : null;
    return row === null || row.kind !== 'webhook' ? null : this.#check(row);
  }

  /** Seals anew, under the newest seed, what an older one sealed. @returns how many, and how many no seed opens */
  async reseal(): Promise<{ readonly resealed: number; readonly lost: number }> {
    return resealSecrets(this.#parts.database, this.#parts.sealing);
  }

  async #log(name: string): Promise<Log> {
    checkLogName(name);
    const { registry } = this.#parts;
    const log = await registry.find(name);
    if (log === null) throw new AntequemError('log-not-found', `there is no log ${name}: create it first`);
    if (log.id === registry.system.id) {
      throw new AntequemError('log-reserved', '_system is the log of the service itself: nobody else appends to it');
    }
    return log;
  }

  #check({ id, scheme, settings }: SourceRow): SenderCheck {
    const text = JSON.stringify([scheme, settings]);
    const known = this.#checks.get(id);
    if (known?.settings === text) return known.check;
    const check = chooseScheme(scheme, settings).open();
    this.#checks.set(id, { settings: text, check });
    return check;
  }

  async #cached(id: string): Promise<SourceRow | null> {
    const now = this.#parts.sequencing.effects.now();
    const cached = this.#cache.get(id);
    // A clock set back must not lengthen a removed source's life.
    if (cached !== undefined && now >= cached.readAt && now - cached.readAt < CACHE_MS) return cached.row;
    const { rows } = await this.#parts.database.query<SourceRow>(`${SELECT} WHERE s.id = $1`, [id]);
    const row = rows[0] ?? null;
    this.#cache.set(id, { row, readAt: now });
    return row;
  }

  async #demand(db: Queryable, key: string, locked = false): Promise<SourceRow> {
    const where = ID.test(key) ? 's.id' : 's.name';
    const { rows } = await db.query<SourceRow>(`${SELECT} WHERE ${where} = $1${locked ? ' FOR UPDATE OF s' : ''}`, [
      key,
    ]);
    const [row] = rows;
    if (row === undefined)
      throw new AntequemError('source-not-found', 'there is no such source: see antequem sources list');
    return row;
  }

  #view({ id, name, scheme, settings, log, created_at, received_at, refused_at, refusal, secrets }: SourceRow): Source {
    const now = this.#parts.sequencing.effects.now();
    return {
      id,
      name,
      scheme,
      settings,
      log,
      createdAt: created_at,
      receivedAt: received_at,
      refusedAt: refused_at,
      refusal,
      secrets: secrets
        .filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
        .map(({ number, createdAt, expiresAt }) => ({ number, createdAt, expiresAt })),
    };
  }
}

/** @throws FormatError `source-invalid` */
function choose(choice: string, settings: object): Chosen | ChosenApi {
  return chooseApi(choice, settings) ?? chooseScheme(choice, settings);
}

function kindOf(chosen: Chosen | ChosenApi): 'pull' | 'webhook' {
  return 'kind' in chosen ? chosen.kind : 'webhook';
}
