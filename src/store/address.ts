// Where PostgreSQL is. A DATABASE_URL may name several hosts, of which one at a time takes writes: each new connection
// goes to the host that was last known to, and the next one is tried where that fails or only reads.

import { isIP, Socket } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import pg from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import { AntequemError } from '../core/errors.ts';

interface Host {
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORT = 5_432;
/** User, password and hosts of a URL, and what follows. */
const AUTHORITY = /^(\w+:\/\/(?:[^@/?#]*@)?)([^/?#]*)(.*)$/s;
/** Milliseconds. */
const CONNECT_MS = 10_000;
const CONNECT_ONE_OF_SEVERAL_MS = 4_000;

/** What a URL says, and which of its hosts is used. One for all connections of the process, so that they agree. */
export class Address {
  /** For people, without secrets: `user@host:port/database`. */
  readonly name: string;
  /** How many hosts there are to try. */
  readonly count: number;
  /** What every connection is made with. */
  readonly config: pg.ClientConfig;
  readonly #hosts: readonly Host[];
  #current = 0;

  /** @throws AntequemError `config-invalid` */
  constructor(url: string) {
    const [, before = '', authority = '', after = ''] = AUTHORITY.exec(url) ?? [];
    const names = authority.split(',');
    this.#hosts = names.length === 1 ? [] : names.map(hostOf);
    this.count = names.length;
    const config = parse(names.length === 1 ? url : `${before}${names[0]}${after}`);
    const { user = '', host = '', port, database = '' } = new pg.Client(config);
    this.name = `${user}@${names.length === 1 ? `${host}${host.startsWith('/') ? '' : `:${port}`}` : authority}/${database}`;
    this.config = {
      ...config,
      connectionTimeoutMillis: this.count === 1 ? CONNECT_MS : CONNECT_ONE_OF_SEVERAL_MS,
      keepAlive: true,
      ...(this.count === 1 ? {} : this.#anyHost(config.ssl)),
    };
  }

  /** The host in use failed or takes no writes: the next one is tried from now on. */
  failed(host = this.#host): void {
    if (this.count > 1 && host === this.#host) this.#current = (this.#current + 1) % this.count;
  }

  /** What a failure to connect is reported as. */
  unavailable(cause: unknown): AntequemError {
    if (cause instanceof AntequemError) return cause;
    const errors = cause instanceof AggregateError ? cause.errors : [cause];
    const why = [...new Set(errors.map((error) => (error instanceof Error ? error.message : String(error))))].join(
      '; ',
    );
    return new AntequemError('database-unavailable', `the database ${this.name} cannot be used: ${why}`, { cause });
  }

  get #host(): Host {
    return this.#hosts[this.#current] ?? { host: 'localhost', port: DEFAULT_PORT };
  }

  /** Connections that go to whichever host is in use when they are made, and check the certificate of that one. */
  #anyHost(ssl: pg.ClientConfig['ssl']): pg.ClientConfig {
    return {
      // Not used: the stream decides. No name, which would be taken for that of the certificate.
      host: '127.0.0.1',
      stream: () => {
        const socket = new HostSocket(this.#host);
        let connected = false;
        socket.once('connect', () => {
          connected = true;
        });
        socket.once('close', () => {
          if (!connected) this.failed(socket.target);
        });
        return socket;
      },
      ...(ssl === undefined || ssl === false ? {} : { ssl: this.#tls(ssl === true ? {} : ssl) }),
    };
  }

  #tls(given: Exclude<pg.ClientConfig['ssl'], boolean | undefined>): typeof given {
    const address = this;
    return {
      checkServerIdentity: (_placeholder, certificate) => checkServerIdentity(address.#host.host, certificate),
      ...given,
      get servername() {
        const { host } = address.#host;
        return isIP(host) === 0 ? host : '';
      },
    };
  }
}

/** A socket that knows where it goes, whatever it is told. */
class HostSocket extends Socket {
  readonly target: Host;

  constructor(target: Host) {
    super();
    this.target = target;
  }

  override connect(..._elsewhere: unknown[]): this {
    return super.connect({ host: this.target.host, port: this.target.port });
  }
}

const known = new Map<string, Address>();

/** @throws AntequemError `config-invalid` */
export function addressOf(url: string): Address {
  const address = known.get(url) ?? new Address(url);
  known.set(url, address);
  return address;
}

/**
 * A connection of its own, to whichever host takes it.
 * @throws AntequemError `database-unavailable`, which names the database
 */
export async function openClient(url: string, options: pg.ClientConfig): Promise<pg.Client> {
  const address = addressOf(url);
  for (let tries = 1; ; tries++) {
    const client = new HostClient({ ...address.config, ...options });
    // A connection that dies fails the query under way; without a listener it would end the process besides.
    client.on('error', () => {});
    try {
      await client.connect();
      if (address.count > 1) client.demandWritable();
      return client;
    } catch (error) {
      await client.end().catch(() => {});
      if (isStarting(error) || isReadOnly(error)) address.failed();
      if (tries >= address.count) throw address.unavailable(error);
    }
  }
}

/** Knows whether its server takes writes, as the server tells when a connection is made and whenever that changes. */
export class HostClient extends pg.Client {
  readonly #states = new Map<string, string>();

  constructor(config?: pg.ClientConfig) {
    super(config);
    this.connection.on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
      this.#states.set(parameterName, parameterValue);
    });
  }

  /** @throws AntequemError `database-read-only` */
  demandWritable(): void {
    const readOnly = ['in_hot_standby', 'default_transaction_read_only'].some(
      (name) => this.#states.get(name) === 'on',
    );
    if (readOnly) throw new AntequemError('database-read-only', 'none of the hosts of the database takes writes');
  }
}

interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/** Whether a server refused to write: it is a replica, or was told to. */
export function isReadOnly(error: unknown): boolean {
  return codeOf(error) === '25006' || codeOf(error) === 'database-read-only';
}

function isStarting(error: unknown): boolean {
  return codeOf(error) === '57P03';
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function hostOf(text: string): Host {
  const [, host, port] = /^(\[[0-9a-fA-F:]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined) throw new AntequemError('config-invalid', 'DATABASE_URL: a host in the list is not valid');
  return {
    host: decodeURIComponent(host.replace(/^\[|\]$/g, '')),
    port: port === undefined ? DEFAULT_PORT : Number(port),
  };
}

function parse(url: string): pg.ClientConfig {
  try {
    return parseIntoClientConfig(url);
  } catch {
    // Its message may bear the password.
    throw new AntequemError('config-invalid', 'DATABASE_URL: not a URL that PostgreSQL can be reached by');
  }
}
