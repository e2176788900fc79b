// Reads from a service that may be hostile: every answer is bounded in size and time, and redirects are not followed.

import { Agent as HttpAgent, get as httpGet, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, get as httpsGet } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { excerpt } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import { type AuditSource, tooLong } from './source.ts';

export interface HttpSourceOptions {
  /** http or https: the part before `/logs` and `/v1`. */
  readonly url: string;
  /** Sent as a Bearer token, to that host only. */
  readonly apiKey?: string | undefined;
  /** Milliseconds for a whole answer. */
  readonly deadline?: number;
  /** The most requests at the same time. */
  readonly connections?: number;
  /** Milliseconds before the second attempt; doubled before each further one. */
  readonly pause?: number;
}

const DEADLINE = 60_000;
const CONNECTIONS = 32;
const ATTEMPTS = 4;
const PAUSE = 500;
/** Bytes of headers, beyond which Node's parser refuses an answer. */
const MAX_HEAD = 16_384;

/** The longest pause that a service may ask for, and how often in a row. */
const LONGEST_PAUSE = 120;
const PAUSES = 100;

/** A failure that may pass. */
class Passing extends Error {
  /** Seconds to wait, as the service asks; null: it does not say. */
  readonly after: number | null;

  constructor(message: string, after: number | null = null) {
    super(message);
    this.after = after;
  }
}

export class HttpSource implements AuditSource {
  readonly #base: URL;
  readonly #agent: HttpAgent;
  readonly #headers: Record<string, string>;
  readonly #deadline: number;
  readonly #pause: number;
  readonly #keyed: boolean;

  /** @throws AntequemError `url-invalid` */
  constructor(options: HttpSourceOptions) {
    const base = URL.parse(options.url.replace(/\/*$/, '/'));
    if (base === null || !['http:', 'https:'].includes(base.protocol) || base.search !== '' || base.hash !== '') {
      throw new AntequemError('url-invalid', `not the URL of a service: ${excerpt(options.url)}`);
    }
    this.#base = base;
    const agent = { keepAlive: true, maxSockets: options.connections ?? CONNECTIONS };
    this.#agent = base.protocol === 'https:' ? new HttpsAgent(agent) : new HttpAgent(agent);
    const { apiKey } = options;
    this.#keyed = apiKey !== undefined && apiKey !== '';
    this.#headers = { 'accept-encoding': 'identity', ...(this.#keyed ? { authorization: `Bearer ${apiKey}` } : {}) };
    this.#deadline = options.deadline ?? DEADLINE;
    this.#pause = options.pause ?? PAUSE;
  }

  describe(): string {
    return `${this.#base.protocol}//${this.#base.host}${this.#base.pathname.replace(/\/$/, '')}`;
  }

  async read(path: string, most: number): Promise<Uint8Array | null> {
    let pauses = 0;
    for (let attempt = 1; ; ) {
      try {
        return await this.#ask(path, most);
      } catch (error) {
        if (!(error instanceof Passing)) throw error;
        // A service that asks for a pause is not gone.
        const told = error.after !== null && pauses++ < PAUSES ? Math.max(error.after * 1_000, this.#pause) : null;
        if (told === null && attempt === ATTEMPTS) {
          throw new AntequemError('service-unreachable', `${this.#named(path)} could not be read: ${error.message}`);
        }
        await sleep(told ?? this.#pause * 2 ** (attempt++ - 1));
      }
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #ask(path: string, most: number): Promise<Uint8Array | null> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | null>();
    const get = this.#base.protocol === 'https:' ? httpsGet : httpGet;
    const options = { agent: this.#agent, headers: this.#headers, maxHeaderSize: MAX_HEAD };
    const request = get(new URL(path, this.#base), options, (response) => {
      const fault = this.#check(path, response, most);
      if (fault === null && response.statusCode === 200) return collect(response);
      // The body of an error is not read.
      if (fault === null) resolve(null);
      else reject(fault);
      response.destroy();
    });
    const collect = (response: IncomingMessage): void => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        chunks.push(chunk);
        if (length <= most) return;
        reject(tooLong(this.#named(path), most));
        response.destroy();
      });
      response.on('end', () =>
        resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)),
      );
      response.on('close', () => {
        if (!response.complete) reject(new Passing('the connection ended within the answer'));
      });
      response.on('error', (error) => reject(new Passing(error.message)));
    };
    const timer = setTimeout(() => {
      const seconds = this.#deadline / 1_000;
      reject(
        new AntequemError('answer-slow', `${this.#named(path)} did not come whole within ${seconds} s: it is given up`),
      );
      request.destroy();
    }, this.#deadline);
    request.on('error', (error: NodeJS.ErrnoException) => {
      const malformed = error.code?.startsWith('HPE_') ?? false;
      reject(
        malformed
          ? new AntequemError('answer-invalid', `${this.#named(path)} is not answered in HTTP: ${error.message}`)
          : new Passing(error.message === '' ? (error.code ?? 'no connection') : error.message),
      );
    });
    return promise.finally(() => clearTimeout(timer));
  }

  /** Why an answer is refused; null: it is taken, or says that there is nothing. */
  #check(path: string, response: IncomingMessage, most: number): Error | null {
    const { statusCode = 0, headers } = response;
    const where = this.#named(path);
    if (statusCode >= 300 && statusCode < 400) {
      const to = excerpt(headers.location ?? '');
      return new AntequemError(
        'answer-redirected',
        `${where} is answered with a redirect to ${to}: nothing is followed, name the address itself`,
      );
    }
    if (statusCode === 401 || statusCode === 403) {
      const why = this.#keyed ? 'the API key does not permit to read it' : 'it needs an API key with the scope read';
      return new AntequemError('service-refused', `${where} is refused (${statusCode}): ${why}`);
    }
    if (statusCode === 404 || statusCode === 410) return null;
    if (statusCode === 429 || statusCode >= 500) {
      const after = /^\d{1,3}$/.test(headers['retry-after'] ?? '') ? Number(headers['retry-after']) : null;
      const patient = statusCode === 429 && after !== null && after <= LONGEST_PAUSE;
      return new Passing(`it was answered with ${statusCode}`, patient ? after : null);
    }
    if (statusCode !== 200) return new AntequemError('answer-invalid', `${where} is answered with ${statusCode}`);
    if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity') {
      return new AntequemError('answer-invalid', `${where} is answered compressed, which was not asked for`);
    }
    return Number(headers['content-length'] ?? 0) > most ? tooLong(where, most) : null;
  }

  #named(path: string): string {
    return `${this.describe()}/${path}`;
  }
}
