// Objects in a bucket of an S3-compatible store. Each request has a deadline, and each answer a bound.

import { createHash } from 'node:crypto';
import { AwsV4Signer } from 'aws4fetch';
import { sha256 } from '#sha256';
import { collectAtMost } from '../core/bounded.ts';
import { equalBytes, toBase64, toHex, utf8 } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';

/** Where a bucket is and how it is reached. */
export interface BucketAddress {
  /** Such as `https://s3.example.org`; null: Amazon's own, with the bucket in the host name. */
  readonly endpoint: string | null;
  readonly region: string;
  readonly bucket: string;
  /** Without slashes at its ends; empty: none. */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | null;
}

/** How long the store refuses to delete or replace an object. */
export interface ObjectLock {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  /** Milliseconds since the Unix epoch. */
  readonly until: number;
}

/** What a request may take with its answer. */
const DEADLINE_MS = 30_000;
/** Of a listing or an error. */
const MAX_XML_BYTES = 2 << 20;
const LISTED_AT_ONCE = 1_000;
/** What an object may be named here, so that no name needs escaping. */
const NAME = /^[A-Za-z0-9._/-]{1,900}$/;

interface Asked {
  readonly method: 'GET' | 'PUT' | 'DELETE' | 'HEAD';
  /** Null: the bucket itself. */
  readonly name: string | null;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Bytes of the answer. */
  readonly most: number;
}

interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
}

export class Bucket {
  readonly #address: BucketAddress;
  readonly #deadlineMs: number;

  /** @param deadlineMs of each request */
  constructor(address: BucketAddress, deadlineMs: number = DEADLINE_MS) {
    this.#address = address;
    this.#deadlineMs = deadlineMs;
  }

  /** For people, without secrets. */
  describe(): string {
    const { bucket, prefix } = this.#address;
    return `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`;
  }

  /**
   * Writes an object that is not there yet, and reads back what the store has under the name.
   * @returns `written`, or `present` where the same bytes are there already
   * @throws AntequemError `archive-conflict` where other bytes are there; `archive-unavailable`, `archive-refused`
   */
  async putNew(name: string, bytes: Uint8Array, lock: ObjectLock | null = null): Promise<'written' | 'present'> {
    const written = await this.putIfAbsent(name, bytes, lock);
    await this.#demandStored(name, bytes);
    return written ? 'written' : 'present';
  }

  async #demandStored(name: string, bytes: Uint8Array): Promise<void> {
    const stored = await this.get(name, bytes.length).catch(largerIs(null));
    if (stored !== null && equalBytes(stored, bytes)) return;
    throw new AntequemError(
      'archive-conflict',
      `${this.describe()}/${name} is not what was written there: the archive holds other bytes under this name`,
    );
  }

  /** @returns whether it was written; false where an object is there already */
  async putIfAbsent(name: string, bytes: Uint8Array, lock: ObjectLock | null = null): Promise<boolean> {
    const answer = await this.#ask({
      method: 'PUT',
      name,
      headers: { 'if-none-match': '*', ...headersOf(bytes), ...lockHeaders(lock, bytes) },
      body: bytes,
      most: MAX_XML_BYTES,
    });
    if (answer.status === 412) return false;
    this.#demand(answer, 'PUT', name);
    return true;
  }

  /**
   * Writes an object in the place of an older one, and reads it back.
   * @throws AntequemError `archive-conflict`, `archive-unavailable`, `archive-refused`
   */
  async putCurrent(name: string, bytes: Uint8Array, lock: ObjectLock | null = null): Promise<void> {
    await this.put(name, bytes, lock);
    await this.#demandStored(name, bytes);
  }

  /** Writes an object, whatever is there. */
  async put(name: string, bytes: Uint8Array, lock: ObjectLock | null = null): Promise<void> {
    const headers = { ...headersOf(bytes), ...lockHeaders(lock, bytes) };
    const answer = await this.#ask({ method: 'PUT', name, headers, body: bytes, most: MAX_XML_BYTES });
    this.#demand(answer, 'PUT', name);
  }

  /**
   * The bytes of an object; null where there is none.
   * @throws AntequemError `archive-damaged` where it has more than `most` bytes
   */
  async get(name: string, most: number): Promise<Uint8Array | null> {
    const answer = await this.#ask({ method: 'GET', name, most });
    if (answer.status === 404) return null;
    this.#demand(answer, 'GET', name);
    return answer.body;
  }

  /** The names below a prefix, in order, from behind `after` on. */
  async *list(under: string, after = ''): AsyncGenerator<string> {
    const base = this.#key('');
    let behind = after;
    for (;;) {
      const query: Record<string, string> = {
        'list-type': '2',
        'max-keys': String(LISTED_AT_ONCE),
        prefix: base + under,
        ...(behind === '' ? {} : { 'start-after': base + behind }),
      };
      const answer = await this.#ask({ method: 'GET', name: null, query, most: MAX_XML_BYTES });
      this.#demand(answer, 'GET', under);
      const xml = textOf(answer.body);
      const names = [...xml.matchAll(/<Contents>.*?<Key>([^<]{1,1024})<\/Key>/gs)].flatMap(([, key = '']) =>
        key.startsWith(base) ? [key.slice(base.length)] : [],
      );
      yield* names;
      const last = names.at(-1);
      if (last === undefined || !/<IsTruncated>true<\/IsTruncated>/.test(xml)) return;
      behind = last;
    }
  }

  /** Deletes an object with all its versions. @returns `locked` where the store refuses to delete one of them */
  async remove(name: string): Promise<'deleted' | 'locked'> {
    let locked = false;
    for (const version of await this.#versions(name)) {
      if ((await this.#deleteVersion(name, version)) === 'locked') locked = true;
    }
    return locked ? 'locked' : 'deleted';
  }

  /** The ids of all versions, deletions included; `null` (the text) where the bucket keeps none. */
  async #versions(name: string): Promise<string[]> {
    const query = { versions: '', prefix: this.#key(name), 'max-keys': String(LISTED_AT_ONCE) };
    const answer = await this.#ask({ method: 'GET', name: null, query, most: MAX_XML_BYTES });
    // Not every store without versions can list them.
    if (answer.status === 501 || answer.status === 405) return ['null'];
    this.#demand(answer, 'GET', name);
    const key = this.#key(name);
    return [...textOf(answer.body).matchAll(/<(?:Version|DeleteMarker)>(.*?)<\/(?:Version|DeleteMarker)>/gs)].flatMap(
      ([, version = '']) => {
        if (elementOf(version, 'Key') !== key) return [];
        return [elementOf(version, 'VersionId') ?? 'null'];
      },
    );
  }

  /** @returns `locked` where the store refuses, as it does while a lock lasts */
  async #deleteVersion(name: string, id: string): Promise<'deleted' | 'locked'> {
    const query = id === 'null' ? {} : { versionId: id };
    const answer = await this.#ask({ method: 'DELETE', name, query, most: MAX_XML_BYTES });
    if (answer.status === 403 || answer.status === 409) return 'locked';
    // MinIO's answer for what is locked.
    if (answer.status === 400 && codeOf(answer) === 'InvalidRequest') return 'locked';
    if (answer.status !== 404) this.#demand(answer, 'DELETE', name);
    return 'deleted';
  }

  #key(name: string): string {
    const { prefix } = this.#address;
    return prefix === '' ? name : `${prefix}/${name}`;
  }

  async #ask({ method, name, query = {}, headers = {}, body, most }: Asked): Promise<Answer> {
    if (name !== null && !NAME.test(name)) throw new AntequemError('internal', 'an object has a name that is no name');
    const { endpoint, region, bucket, accessKeyId, secretAccessKey, sessionToken } = this.#address;
    const base = endpoint === null ? `https://${bucket}.s3.${region}.amazonaws.com` : `${endpoint}/${bucket}`;
    const url = new URL(name === null ? base : `${base}/${this.#key(name)}`);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
    const signed = await new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers, 'x-amz-content-sha256': toHex(sha256(body ?? new Uint8Array(0))) },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === null ? {} : { sessionToken }),
      service: 's3',
      region,
    }).sign();
    const signal = AbortSignal.timeout(this.#deadlineMs);
    try {
      const response = await fetch(signed.url, {
        method,
        headers: signed.headers,
        ...(body === undefined ? {} : { body: new Uint8Array(body) }),
        redirect: 'manual',
        signal,
      });
      const length = Number(response.headers.get('content-length') ?? 0);
      const bound = response.ok ? most : MAX_XML_BYTES;
      const read = length > bound ? null : await collectAtMost(response.body, bound);
      if (read !== null) return { status: response.status, body: read };
      await response.body?.cancel();
    } catch (error) {
      throw new AntequemError('archive-unavailable', `${this.describe()} did not answer: ${reasonOf(error)}`);
    }
    throw new AntequemError(
      'archive-damaged',
      `${this.describe()}/${name ?? ''} has more than ${most} bytes, which nothing there has`,
    );
  }

  /** @throws AntequemError `archive-unavailable`, `archive-refused` */
  #demand(answer: Answer, method: string, name: string): void {
    const { status } = answer;
    if (status >= 200 && status < 300) return;
    const code = codeOf(answer);
    const reason = code === null ? '' : ` (${code})`;
    const says = `${this.describe()} answered ${status}${reason} to ${method} ${name}`;
    const passes = status >= 500 || status === 409 || status === 429 || status === 408;
    if (passes) throw new AntequemError('archive-unavailable', `${says}: this is tried again`);
    throw new AntequemError('archive-refused', `${says}: check bucket, credentials and their permissions`);
  }
}

function headersOf(bytes: Uint8Array): Record<string, string> {
  return { 'content-type': 'application/octet-stream', 'x-amz-checksum-sha256': toBase64(sha256(bytes)) };
}

function lockHeaders(lock: ObjectLock | null, bytes: Uint8Array): Record<string, string> {
  if (lock === null) return {};
  return {
    // Stores want one checksum or another beside a lock, some of them this one.
    'content-md5': createHash('md5').update(bytes).digest('base64'),
    'x-amz-object-lock-mode': lock.mode,
    'x-amz-object-lock-retain-until-date': new Date(lock.until).toISOString(),
  };
}

/** What an error is called by the store; null: by no name. */
function codeOf({ body }: Answer): string | null {
  const code = elementOf(textOf(body.subarray(0, 4_096)), 'Code') ?? '';
  return /^[A-Za-z0-9]{1,64}$/.test(code) ? code : null;
}

function elementOf(xml: string, name: string): string | null {
  return new RegExp(`<${name}>([^<]{0,1024})</${name}>`).exec(xml)?.[1] ?? null;
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const largerIs =
  <T>(value: T) =>
  (error: unknown): T => {
    if (error instanceof AntequemError && error.code === 'archive-damaged') return value;
    throw error;
  };

/** Why a request failed, without its URL. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'for an unknown reason';
  if (error.name === 'TimeoutError') return 'it took too long';
  const { cause } = error;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'the connection failed';
}

/** Bytes that nobody else writes. */
const PROBE = utf8('antequem: does this store refuse to replace an object?\n');

/**
 * Finds out whether a store refuses to replace an object when told so (`If-None-Match: *`).
 * @param name of an object that is not there; it is deleted again
 * @throws AntequemError `archive-conditions-ignored`, `archive-unavailable`, `archive-refused`
 */
export async function demandConditionalWrites(bucket: Bucket, name: string): Promise<void> {
  try {
    await bucket.putIfAbsent(name, PROBE);
    if (!(await bucket.putIfAbsent(name, PROBE))) return;
  } finally {
    await bucket.remove(name).catch(() => {});
  }
  throw new AntequemError(
    'archive-conditions-ignored',
    `${bucket.describe()} replaces objects although it is told not to (If-None-Match: *), so nothing in it is safe: ` +
      'use a store or a release of it that supports conditional writes',
  );
}
