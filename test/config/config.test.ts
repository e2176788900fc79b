import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { configurationText, settings } from '../../scripts/configuration.ts';
import { readConfig } from '../../src/config.ts';

const LEAST = { DATABASE_URL: 'postgres:///antequem', ORIGIN: 'log.example.org', LOG_SEED_FILE: '/run/secrets/seed' };
const EVM = { EVM_RPC_URLS: 'https://one.test', EVM_CHAIN_ID: '1', EVM_PRIVATE_KEY_FILE: '/run/secrets/key' };

/** The faults found, as they are reported. */
function faultsOf(env: Record<string, string | undefined>): string[] {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    expect(error).toMatchObject({ code: 'config-invalid' });
    const [head, ...faults] = (error instanceof Error ? error.message : '').split('\n  ');
    expect(head).toBe(`the configuration has ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}:`);
    return faults;
  }
}

describe('the configuration', () => {
  it('needs three settings and has a default for every other', () => {
    expect(readConfig(LEAST)).toEqual({
      roles: ['api', 'worker'],
      host: '127.0.0.1',
      port: 3963,
      healthPort: null,
      open: false,
      origin: 'log.example.org',
      databaseUrl: 'postgres:///antequem',
      databaseReadUrl: null,
      databaseConnections: 10,
      appendConnections: 5,
      redisUrl: null,
      logSeedFile: '/run/secrets/seed',
      guardFile: null,
      roundInterval: 60_000,
      roundEntries: 100_000,
      roundHeartbeat: null,
      reconcileInterval: 30_000,
      retentionInterval: 3_600_000,
      targets: [],
      ots: null,
      authorities: [],
      bitcoin: {
        chain: 'bip122:000000000019d6689c085ae165831e93',
        rpcUrls: [],
        esploraUrls: [],
        cookieFile: null,
        confirmations: 6,
      },
      calendar: null,
      ownAuthority: null,
      trustedProxies: [],
      operation: { rateLimit: null, metricsTokenFile: null, drainDelay: 0, webhookAllowPrivate: false },
      witnesses: null,
      archive: null,
      logLevel: 'info',
    });
  });

  it('is never open, whatever the environment says', () => {
    expect(readConfig({ ...LEAST, OPEN: 'true', open: 'true' }).open).toBe(false);
  });

  it('takes an empty setting for none, and leaves alone what is not its own', () => {
    expect(
      readConfig({ ...LEAST, PORT: '', REDIS_URL: '', EVM_RPC_URLS: '', PATH: '/bin', NOTHING: undefined }),
    ).toEqual(readConfig(LEAST));
  });

  it('reads every setting', () => {
    const config = readConfig({
      ...LEAST,
      ...EVM,
      ROLES: ' worker , api ',
      HOST: '0.0.0.0',
      PORT: '0',
      ORIGIN: 'log.example.org:8443/prod',
      DATABASE_URL: 'postgresql://user:secret@db/antequem',
      REDIS_URL: 'rediss://cache:6380/1',
      ROUND_INTERVAL: '250ms',
      ROUND_ENTRIES: '1',
      ROUND_HEARTBEAT: '24h',
      RECONCILE_INTERVAL: '5m',
      EVM_RPC_URLS: 'https://one.test, http://two.test:8545',
      EVM_CONTRACT: '0x00000000000000000000000000000000000000Ff',
      EVM_MODE: 'announce',
      EVM_CONFIRMATIONS: '12',
      EVM_MAX_FEE_GWEI: '0.05',
      EVM_MAX_PRIORITY_FEE_GWEI: '0.000000001',
      EVM_DAILY_BUDGET: '0.25',
      EVM_REPLACE_AFTER: '90s',
      EVM_LOW_BALANCE: '1',
      RATE_LIMIT: '600/1m',
      METRICS_TOKEN_FILE: '/run/secrets/metrics',
      DRAIN_DELAY: '5s',
      WEBHOOK_ALLOW_PRIVATE: 'true',
      LOG_LEVEL: 'silent',
    });
    expect(config).toMatchObject({
      roles: ['worker', 'api'],
      host: '0.0.0.0',
      port: 0,
      origin: 'log.example.org:8443/prod',
      redisUrl: 'rediss://cache:6380/1',
      roundInterval: 250,
      roundEntries: 1,
      roundHeartbeat: 86_400_000,
      reconcileInterval: 300_000,
      operation: {
        rateLimit: { requests: 600, seconds: 60 },
        metricsTokenFile: '/run/secrets/metrics',
        drainDelay: 5_000,
        webhookAllowPrivate: true,
      },
      logLevel: 'silent',
    });
    expect(config.targets).toEqual([
      {
        name: 'evm-1',
        rpcUrls: ['https://one.test', 'http://two.test:8545'],
        chainId: 1,
        contract: '0x00000000000000000000000000000000000000Ff',
        storeEvery: 'never',
        key: { file: '/run/secrets/key' },
        confirmations: 12,
        maxFee: 50_000_000n,
        maxPriorityFee: 1n,
        dailyBudget: 250_000_000_000_000_000n,
        replaceAfter: 90_000,
        lowBalance: 10n ** 18n,
        ephemeral: false,
      },
    ]);
  });

  it('anchors by default where a chain is named', () => {
    expect(readConfig({ ...LEAST, ...EVM }).targets).toEqual([
      {
        name: 'evm-1',
        rpcUrls: ['https://one.test'],
        chainId: 1,
        contract: null,
        storeEvery: null,
        key: { file: '/run/secrets/key' },
        confirmations: null,
        maxFee: 100_000_000_000n,
        maxPriorityFee: 3_000_000_000n,
        dailyBudget: null,
        replaceAfter: 180_000,
        lowBalance: null,
        ephemeral: false,
      },
    ]);
  });
});

describe('its faults', () => {
  it('are reported all together', () => {
    const env = {
      PORT: 'x',
      ROLES: 'api,cook,bake',
      ROUND_INTERVAL: '5',
      EVM_RPC_URLS: 'ftp://x',
      LOG_LEVEL: 'loud',
      REDIS_URL: 'http://x',
    };
    expect(faultsOf(env).sort()).toEqual([
      'DATABASE_URL: must be set',
      'EVM_CHAIN_ID: must be set beside EVM_RPC_URLS; no other chain is ever used',
      'EVM_RPC_URLS: not a URL with http:// or https://',
      'LOG_LEVEL: not a level: fatal, error, warn, info, debug, trace, silent',
      'LOG_SEED_FILE: must be set',
      'ORIGIN: must be set',
      'PORT: not a port: 0 to 65535, 0 for any free one',
      'REDIS_URL: not redis://host:port, rediss://host:port or redis+sentinel://host:port,host:port/NAME',
      'ROLES: not a list of roles: api, worker',
      'ROUND_INTERVAL: not a duration: write 500ms, 30s, 10m or 24h',
    ]);
  });

  it.each([
    ['PORT', ['-1', '65536', '1.5', '0x50', '1e3', ' ', '80 ', 'http'], 'not a port: 0 to 65535, 0 for any free one'],
    ['ROUND_ENTRIES', ['0', '-1', '1.5', 'many', ' 1', '9007199254740992'], 'not a whole number from 1 on'],
    ['EVM_CONFIRMATIONS', ['0', 'finalized'], 'not a whole number from 1 on'],
    ['ROUND_INTERVAL', ['5', '5 s', '-5s', '1.5s', 's', '5d', ' 5s'], 'not a duration: write 500ms, 30s, 10m or 24h'],
    ['ROUND_INTERVAL', ['0s', '597h', '9999999999ms'], 'not from 1ms to 596h'],
    ['RECONCILE_INTERVAL', ['0ms'], 'not from 1ms to 596h'],
    ['ROUND_HEARTBEAT', ['never'], 'not a duration: write 500ms, 30s, 10m or 24h'],
    ['ROLES', [',', 'API', 'api;worker'], 'not a list of roles: api, worker'],
    [
      'ORIGIN',
      ['https://log.example.org', 'Log.example.org', 'log.example.org/', '-x', 'a b'],
      'not a service origin: a host name in lower case without a scheme, such as log.example.org',
    ],
    ['DATABASE_URL', ['mysql://x', 'localhost'], 'not a URL with postgres://'],
    [
      'REDIS_URL',
      ['redis', 'postgres://x'],
      'not redis://host:port, rediss://host:port or redis+sentinel://host:port,host:port/NAME',
    ],
    [
      'RATE_LIMIT',
      ['100', '100/s', '0/1m', '10/1500ms', '10/0s', '-1/1m', 'on'],
      'not a rate: write 6000/1m, 100/1s, or off',
    ],
    ['DRAIN_DELAY', ['5', 'soon', '0'], 'not a duration: write 0s, 500ms or 10s'],
    ['WEBHOOK_ALLOW_PRIVATE', ['yes', '1'], 'not true or false'],
    ['LOG_LEVEL', ['INFO'], 'not a level: fatal, error, warn, info, debug, trace, silent'],
    ['EVM_CHAIN_ID', ['0', '0x1', '1.0', '-1', '9007199254740992'], 'not a chain id: a whole number from 1 on'],
    ['EVM_CONTRACT', ['0x12', 'vitalik.eth', `0x${'g'.repeat(40)}`], 'not an address: 0x and 40 hex digits'],
    ['EVM_MODE', ['both'], 'not a mode: anchor or announce'],
    ['EVM_MAX_FEE_GWEI', ['-1', '1e3', 'Infinity', ' 5'], 'not a fee in gwei, such as 30 or 0.05'],
    ['EVM_MAX_FEE_GWEI', ['0', '0.0'], 'must be above 0'],
    ['EVM_MAX_PRIORITY_FEE_GWEI', ['0.0000000001'], 'not a fee in gwei, such as 30 or 0.05'],
    ['EVM_DAILY_BUDGET', ['1 ETH', '-1', '.5'], "not an amount of the chain's coin, such as 0.25"],
    ['EVM_LOW_BALANCE', ['0'], 'must be above 0'],
    ['EVM_REPLACE_AFTER', ['3'], 'not a duration: write 500ms, 30s, 10m or 24h'],
    ['EVM_RPC_URLS', ['one.test', 'https://one.test,ws://two.test'], 'not a URL with http:// or https://'],
    ['EVM_RPC_URLS', [','], 'not a list of URLs with http:// or https://'],
  ])('of %s', (name, values, fault) => {
    for (const value of values) {
      expect([value, faultsOf({ ...LEAST, ...EVM, [name]: value })]).toEqual([value, [`${name}: ${fault}`]]);
    }
  });

  it('do not tell values, which may be secrets', () => {
    const faults = faultsOf({
      ...LEAST,
      DATABASE_URL: 'pg://user:hunter2@db',
      REDIS_URL: 'hunter2',
      EVM_RPC_URLS: 'wss://x/hunter2',
      PORT: 'hunter2',
    });
    expect(faults.length).toBeGreaterThan(3);
    expect(faults.join('\n')).not.toContain('hunter2');
  });
});

describe('a chain to anchor to', () => {
  it('is whole or none', () => {
    const { EVM_CHAIN_ID, EVM_PRIVATE_KEY_FILE, EVM_RPC_URLS } = EVM;
    const chain = 'EVM_CHAIN_ID: must be set beside EVM_RPC_URLS; no other chain is ever used';
    const key = 'EVM_PRIVATE_KEY_FILE: must be set beside EVM_RPC_URLS where a worker runs, or EVM_KEYSTORE_FILE';
    expect(faultsOf({ ...LEAST, EVM_RPC_URLS })).toEqual([chain, key]);
    expect(faultsOf({ ...LEAST, EVM_RPC_URLS, EVM_CHAIN_ID })).toEqual([key]);
    expect(faultsOf({ ...LEAST, EVM_RPC_URLS, EVM_CHAIN_ID, ROLES: 'api' })).toEqual([]);
    expect(faultsOf({ ...LEAST, EVM_CHAIN_ID, EVM_PRIVATE_KEY_FILE })).toEqual([
      'EVM_RPC_URLS: must be set beside EVM_CHAIN_ID, EVM_PRIVATE_KEY_FILE',
    ]);
  });

  it('is paid for with one key', () => {
    const { EVM_PRIVATE_KEY_FILE, ...rest } = { ...LEAST, ...EVM };
    const keystore = { ...rest, EVM_KEYSTORE_FILE: '/run/keystore', EVM_KEYSTORE_PASSWORD_FILE: '/run/password' };
    expect(readConfig(keystore).targets[0]?.key).toEqual({ keystore: '/run/keystore', passwordFile: '/run/password' });
    expect(faultsOf({ ...keystore, EVM_PRIVATE_KEY_FILE })).toEqual([
      'EVM_KEYSTORE_FILE: cannot be set beside EVM_PRIVATE_KEY_FILE',
    ]);
    expect(faultsOf({ ...rest, EVM_KEYSTORE_FILE: '/run/keystore' })).toEqual([
      'EVM_KEYSTORE_PASSWORD_FILE: must be set beside EVM_KEYSTORE_FILE, and nowhere else',
    ]);
  });
});

describe('docs/configuration.md', () => {
  it('is what the schema says, and the schema says what each setting is for', async () => {
    expect(settings().filter(({ description }) => description === null)).toEqual([]);
    expect(await readFile(new URL('../../docs/configuration.md', import.meta.url), 'utf8')).toBe(configurationText());
    expect(
      settings()
        .filter(({ required }) => required)
        .map(({ name }) => name),
    ).toEqual(Object.keys(LEAST).sort(inSchema));
  });
});

function inSchema(a: string, b: string): number {
  const names = settings().map(({ name }) => name);
  return names.indexOf(a) - names.indexOf(b);
}
