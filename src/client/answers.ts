// What the service's answers must hold for the client to use them. Fields beyond these are let through unread: a newer
// service may say more. Checked by hand, since the client brings no dependency along.

/** 201 of `POST …/entries` and `…/digests`: for a batch `index` is the first, `digest` and `leafHash` the last. */
export interface AppendAnswer {
  readonly log: string;
  readonly index: number;
  readonly count: number;
  readonly digest: string;
  readonly leafHash: string;
  readonly receivedAt: string;
  readonly receipt: string;
}

/** 200 of `DELETE …/entries/{index}/payload`. */
export interface Erased {
  readonly log: string;
  readonly index: number;
  readonly erased: true;
  /** Until then an archive refuses to delete a copy, whose key is destroyed; absent: there is none. */
  readonly lockedUntil?: string;
}

/** `PUT` and `GET /v1/logs/{log}`. */
export interface LogDescription {
  readonly origin: string;
  readonly logId: string;
  readonly verifierKey: string;
  readonly size?: number;
  readonly root?: string;
}

/** Reads an answer; null where it is not what it should be. */
export type Reader<T> = (json: unknown) => T | null;

export const readAppended: Reader<AppendAnswer> = (json) => {
  const [log, digest, leafHash, receivedAt, receipt] = texts(
    json,
    'log',
    'digest',
    'leafHash',
    'receivedAt',
    'receipt',
  );
  const index = size(json, 'index');
  const count = size(json, 'count');
  if (log === undefined || digest === undefined || leafHash === undefined || receivedAt === undefined) return null;
  if (receipt === undefined || index === undefined || count === undefined || count === 0) return null;
  return { log, index, count, digest, leafHash, receivedAt, receipt };
};

/** Whether a contract has stored a root that the entry's path leads to, by 200 of `GET …/receipt.path`. */
export const readStored: Reader<{ readonly stored: boolean }> = (json) => {
  const stored = field(json, 'stored');
  if (stored === null) return { stored: false };
  return size(stored, 'round') === undefined ? null : { stored: true };
};

export const readErased: Reader<Erased> = (json) => {
  const [log] = texts(json, 'log');
  const index = size(json, 'index');
  const [lockedUntil] = texts(json, 'lockedUntil');
  return log === undefined || index === undefined || field(json, 'erased') !== true
    ? null
    : { log, index, erased: true, ...(lockedUntil === undefined ? {} : { lockedUntil }) };
};

export const readLogDescription: Reader<LogDescription> = (json) => {
  const [origin, logId, verifierKey] = texts(json, 'origin', 'logId', 'verifierKey');
  if (origin === undefined || logId === undefined || verifierKey === undefined) return null;
  const entries = size(json, 'size');
  const [root] = texts(json, 'root');
  return {
    origin,
    logId,
    verifierKey,
    ...(entries === undefined ? {} : { size: entries }),
    ...(root === undefined ? {} : { root }),
  };
};

/** What an object has under a name of its own; undefined where it is none. */
export function field(json: unknown, name: string): unknown {
  return typeof json === 'object' && json !== null ? Object.getOwnPropertyDescriptor(json, name)?.value : undefined;
}

/** The strings among these fields, undefined in place of the others. */
export function texts(json: unknown, ...names: readonly string[]): (string | undefined)[] {
  return names.map((name) => {
    const value = field(json, name);
    return typeof value === 'string' ? value : undefined;
  });
}

/** A whole number from 0 on. */
export function size(json: unknown, name: string): number | undefined {
  const value = field(json, name);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
