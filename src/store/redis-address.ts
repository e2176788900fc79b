import { AntequemError } from '../core/errors.ts';

/** Where Redis is, as REDIS_URL says it. */
export interface RedisAddress {
  /** For people, without secrets. */
  readonly name: string;
  readonly options: RedisLogin;
}

/** What every connection is made with. */
export interface RedisLogin {
  host?: string;
  port?: number;
  username?: string;
  password?: string;
  db: number;
  tls?: object;
  sentinels?: { host: string; port: number }[];
  name?: string;
  sentinelUsername?: string;
  sentinelPassword?: string;
  enableTLSForSentinelMode?: boolean;
  sentinelTLS?: object;
}

const SENTINEL_PORT = 26_379;

/**
 * `redis://` and `rediss://` name one server. `redis+sentinel://user:password@host:port,host:port/NAME/database` names
 * sentinels, which tell where the primary NAME is; `rediss+sentinel://` speaks TLS to all of them. What sentinels ask of
 * their clients is given by `?sentinelUsername=` and `?sentinelPassword=`.
 * @throws AntequemError `config-invalid`; no message bears a secret
 */
export function redisAddress(url: string): RedisAddress {
  const [, scheme = '', login = '', authority = '', path = '', query = ''] =
    /^(rediss?(?:\+sentinel)?):\/\/(?:([^@/?#]*)@)?([^/?#]*)([^?#]*)\??([^#]*)$/.exec(url) ?? [];
  const hosts = authority.split(',').map(hostOf);
  const sentinel = scheme.endsWith('+sentinel');
  if (scheme === '' || hosts.includes(null) || (hosts.length > 1 && !sentinel)) throw invalid();
  const [user = '', password = ''] = split(login);
  const parts = path.split('/').filter((part) => part !== '');
  const name = sentinel ? parts.shift() : undefined;
  const database = parts.shift() ?? '0';
  if ((sentinel && name === undefined) || parts.length > 0 || !/^\d{1,4}$/.test(database)) throw invalid();
  const tls = scheme.startsWith('rediss') ? { tls: {} } : {};
  const common: RedisLogin = {
    ...(user === '' ? {} : { username: user }),
    ...(password === '' ? {} : { password }),
    db: Number(database),
    ...tls,
  };
  if (!sentinel) {
    const [host] = hosts;
    return {
      name: `Redis at ${authority}`,
      options: { host: host?.host ?? 'localhost', port: host?.port ?? 6_379, ...common },
    };
  }
  const given = new URLSearchParams(query);
  const [sentinelUsername, sentinelPassword] = [given.get('sentinelUsername'), given.get('sentinelPassword')];
  return {
    name: `Redis ${name} by the sentinels ${authority}`,
    options: {
      ...common,
      sentinels: hosts.map((host) => ({ host: host?.host ?? 'localhost', port: host?.port ?? SENTINEL_PORT })),
      name: name ?? '',
      ...(sentinelUsername === null ? {} : { sentinelUsername }),
      ...(sentinelPassword === null ? {} : { sentinelPassword }),
      ...(scheme.startsWith('rediss') ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
    },
  };
}

export function isRedisUrl(url: string): boolean {
  try {
    redisAddress(url);
    return true;
  } catch {
    return false;
  }
}

/** Null: not a host. */
function hostOf(text: string): { readonly host: string; readonly port: number | undefined } | null {
  const [, host, port] = /^(\[[0-9a-fA-F:]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined || Number(port ?? 1) > 65_535) return null;
  return { host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? undefined : Number(port) };
}

function split(login: string): string[] {
  try {
    const at = login.indexOf(':');
    return (at < 0 ? [login] : [login.slice(0, at), login.slice(at + 1)]).map(decodeURIComponent);
  } catch {
    throw invalid();
  }
}

function invalid(): AntequemError {
  return new AntequemError(
    'config-invalid',
    'REDIS_URL: not redis://host:port, rediss://host:port or redis+sentinel://host:port,host:port/NAME',
  );
}
