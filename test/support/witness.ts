// A witness after C2SP tlog-witness, as small as it can be: its key, the logs it was told of, and what it has cosigned
// of each, in a file that is written before it answers.

import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

/** A log it was told of: origin and Ed25519 public key, out of the log's verifier key. */
interface KnownLog {
  readonly origin: string;
  readonly id: Buffer;
  readonly key: KeyObject;
}

interface Cosigned {
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** The checkpoint with both signatures. */
  readonly note: string;
}

/** The type of its vkey, what stands before the seed in a PKCS #8 key, and the bytes of a public key. */
const ALGORITHMS = {
  ed25519: { type: 4, pkcs8: '302e020100300506032b657004220420', length: 32 },
  'ml-dsa-44': { type: 6, pkcs8: '3034020100300b060960864801650304031104228020', length: 1_312 },
} as const;
export type WitnessAlgorithm = keyof typeof ALGORITHMS;

export interface WitnessRequest {
  readonly body: string;
  /** 0: never answered. */
  status: number;
}

export class TestWitness {
  readonly name: string;
  /** Of type 0x04 or 0x06. */
  readonly vkey: string;
  readonly requests: WitnessRequest[] = [];
  /** What comes between it and whoever asks, instead of the answer: it keeps silent, fails, or answers this. */
  fault: null | 'silent' | number | ((cosignature: string) => string) = null;
  /** What it answers for a log that it does not know, and for another root of a size that it has cosigned. */
  statuses = { unknown: 404, otherRoot: 422 };
  /** Origins of logs for which requests for the checkpoint that it shows are not answered. */
  readonly hidden = new Set<string>();
  /** Milliseconds before each answer. */
  delay = 0;
  /** Seconds that its clock is ahead. */
  ahead = 0;
  readonly #algorithm: WitnessAlgorithm;
  readonly #key: KeyObject;
  readonly #keyId: Buffer;
  readonly #state: string;
  readonly #logs = new Map<string, KnownLog>();
  #server: Server | null = null;
  #port = 0;

  /** @param state the file that it keeps its state in */
  constructor(name: string, state: string, algorithm: WitnessAlgorithm = 'ed25519') {
    this.name = name;
    this.#state = state;
    this.#algorithm = algorithm;
    const { type, pkcs8, length } = ALGORITHMS[algorithm];
    const seed = createHash('sha256').update(`witness ${name}`).digest();
    this.#key = createPrivateKey({
      key: Buffer.concat([Buffer.from(pkcs8, 'hex'), seed]),
      format: 'der',
      type: 'pkcs8',
    });
    const spki = createPublicKey(this.#key).export({ format: 'der', type: 'spki' });
    const typed = Buffer.concat([Buffer.of(type), spki.subarray(-length)]);
    this.#keyId = keyId(name, typed);
    this.vkey = `${name}+${this.#keyId.toString('hex')}+${typed.toString('base64')}`;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/w`;
  }

  /** Tells it of a log. */
  know(verifierKey: string): void {
    const [origin = '', id = '', key = ''] = verifierKey.split('+', 3);
    const typed = Buffer.from(verifierKey.slice(origin.length + id.length + 2), 'base64');
    if (typed[0] !== 1 || key === '') throw new Error(`not the key of a log: ${verifierKey}`);
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), typed.subarray(1)]);
    this.#logs.set(origin, {
      origin,
      id: keyId(origin, typed),
      key: createPublicKey({ key: spki, format: 'der', type: 'spki' }),
    });
  }

  /** How many entries of a log it has cosigned. */
  size(origin: string): number {
    return this.#read().get(origin)?.size ?? 0;
  }

  /** The file with its state, to be taken away. */
  get state(): string {
    return this.#state;
  }

  /** Comes up, at the place where it was before. */
  async start(): Promise<this> {
    const server = createServer((request, response) => {
      text(request)
        .then((body) => this.#answer(`${request.method} ${request.url}`, body, response))
        .catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => {
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address !== null && typeof address === 'object') this.#port = address.port;
    this.#server = server;
    return this;
  }

  /** Goes down; its file stays. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async #answer(target: string, body: string, response: ServerResponse): Promise<void> {
    const [, hash] = /^GET \/w\/([0-9a-f]{64})\/checkpoint$/.exec(target) ?? [];
    if (hash !== undefined) {
      const found = [...this.#read()].find(([origin]) => createHash('sha256').update(origin).digest('hex') === hash);
      if (found !== undefined && this.hidden.has(found[0])) return void response.destroy();
      return void response.writeHead(found === undefined ? 404 : 200).end(found?.[1].note);
    }
    if (target !== 'POST /w/add-checkpoint') return void response.writeHead(404).end();
    const request: WitnessRequest = { body, status: 0 };
    this.requests.push(request);
    if (this.delay > 0) await new Promise((resolve) => setTimeout(resolve, this.delay));
    if (this.fault === 'silent') return;
    if (typeof this.fault === 'number') {
      request.status = this.fault;
      return void response.writeHead(this.fault).end();
    }
    const { status, answer = '', type = 'text/plain; charset=utf-8' } = this.#add(body);
    request.status = status;
    const sent = typeof this.fault === 'function' && status === 200 ? this.fault(answer) : answer;
    response.writeHead(status, { 'content-type': type }).end(sent);
  }

  /** Everything from the look at its state to the file is one synchronous piece: two requests cannot mingle. */
  #add(body: string): { status: number; answer?: string; type?: string } {
    const blank = body.indexOf('\n\n');
    const [first = '', ...proof] = body.slice(0, blank).split('\n');
    const [, digits] = /^old (0|[1-9][0-9]*)$/.exec(first) ?? [];
    const note = body.slice(blank + 2);
    const end = note.lastIndexOf('\n\n');
    const signed = note.slice(0, end + 1);
    const [, origin = '', sizeText, root = ''] = /^(.+)\n(0|[1-9][0-9]*)\n([A-Za-z0-9+/]{43}=)\n/.exec(signed) ?? [];
    if (blank < 0 || digits === undefined || end < 0 || sizeText === undefined || proof.length > 63)
      return { status: 400 };

    const log = this.#logs.get(origin);
    if (log === undefined) return { status: this.statuses.unknown };
    const lines = [...note.slice(end + 2).matchAll(/^— (\S+) (\S+)$/gm)].map(([, name, bytes = '']) => ({
      name,
      bytes: Buffer.from(bytes, 'base64'),
    }));
    const own = lines.filter(({ name, bytes }) => name === origin && bytes.subarray(0, 4).equals(log.id));
    const holds = (bytes: Buffer): boolean => verify(null, Buffer.from(signed), log.key, bytes.subarray(4));
    if (own.length === 0 || !own.every(({ bytes }) => holds(bytes))) return { status: 403 };

    const [old, size] = [Number(digits), Number(sizeText)];
    if (old > size) return { status: 400 };
    const state = this.#read();
    const latest = state.get(origin);
    if (old !== (latest?.size ?? 0)) return { status: 409, answer: `${latest?.size ?? 0}\n`, type: 'text/x.tlog.size' };
    const hashes = proof.map((line) => Buffer.from(line, 'base64'));
    if (!continues(old, latest?.root ?? EMPTY.toString('base64'), size, root, hashes)) {
      return { status: old === size ? this.statuses.otherRoot : 422 };
    }

    const time = Math.floor(Date.now() / 1_000) + this.ahead;
    const stamp = u64(time);
    const message =
      this.#algorithm === 'ed25519'
        ? Buffer.from(`cosignature/v1\ntime ${time}\n${signed}`)
        : Buffer.concat([
            Buffer.from('subtree/v1\n\0'),
            opaque(this.name),
            stamp,
            opaque(origin),
            u64(0),
            u64(size),
            Buffer.from(root, 'base64'),
          ]);
    const signature = sign(null, message, this.#key);
    const line = `— ${this.name} ${Buffer.concat([this.#keyId, stamp, signature]).toString('base64')}\n`;
    state.set(origin, { size, root, note: `${note}${line}` });
    writeFileSync(`${this.#state}.tmp`, JSON.stringify([...state]));
    renameSync(`${this.#state}.tmp`, this.#state);
    return { status: 200, answer: line };
  }

  #read(): Map<string, Cosigned> {
    return new Map(existsSync(this.#state) ? JSON.parse(readFileSync(this.#state, 'utf8')) : []);
  }
}

const EMPTY = createHash('sha256').digest();

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

const opaque = (text: string): Buffer => Buffer.concat([Buffer.of(Buffer.byteLength(text)), Buffer.from(text)]);

function keyId(name: string, typed: Buffer): Buffer {
  return createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, 4);
}

const node = (left: Buffer, right: Buffer): Buffer =>
  createHash('sha256').update(Buffer.of(1)).update(left).update(right).digest();

/** Whether a proof of RFC 6962 section 2.1.2 leads from the old root to the new one: that section read backwards. */
function continues(old: number, oldRoot: string, size: number, root: string, proof: Buffer[]): boolean {
  if (old === 0) return proof.length === 0 && (size > 0 || root === EMPTY.toString('base64'));
  if (old === size) return proof.length === 0 && root === oldRoot;
  const rest = [...proof];
  /** The old and the new root of a subtree of `n` leaves of which the old tree has `m`. */
  const subproof = (m: number, n: number, whole: boolean): [Buffer, Buffer] | null => {
    if (m === n) {
      const hash = whole ? Buffer.from(oldRoot, 'base64') : rest.shift();
      return hash === undefined ? null : [hash, hash];
    }
    const k = 2 ** Math.floor(Math.log2(n - 1));
    const left = m <= k;
    const below = left ? subproof(m, k, whole) : subproof(m - k, n - k, false);
    const sibling = rest.shift();
    if (below === null || sibling === undefined) return null;
    return left ? [below[0], node(below[1], sibling)] : [node(sibling, below[0]), node(sibling, below[1])];
  };
  const roots = subproof(old, size, true);
  if (roots === null || rest.length > 0) return false;
  return roots[0].toString('base64') === oldRoot && roots[1].toString('base64') === root;
}
