import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { BITCOIN } from '../../src/core/bitcoin-header.ts';
import { bitcoinSource } from '../../src/start/bitcoin-source.ts';
import { confirmationDelay } from '../../src/start/targets.ts';

const LEAST = { DATABASE_URL: 'postgres:///antequem', ORIGIN: 'log.example.org', LOG_SEED_FILE: '/run/secrets/seed' };
const REGTEST = 'bip122:0f9188f13cb7b2c71f2a335e3a4fc328';

const read = (env: Record<string, string>) => readConfig({ ...LEAST, ...env });

function faultsOf(env: Record<string, string>): string[] {
  try {
    read(env);
    return [];
  } catch (error) {
    return (error instanceof Error ? error.message : '').split('\n  ').slice(1);
  }
}

describe('calendars', () => {
  it('are a list, each with those that its answers may name', () => {
    const { ots } = read({
      OTS_CALENDARS:
        ' https://a.pool.test/=https://alice.test=https://alice.test/ , http://127.0.0.1:14788,https://c.test/x ',
    });
    expect(ots).toEqual({
      name: 'opentimestamps',
      calendars: [
        { url: 'https://a.pool.test', uris: ['https://alice.test'] },
        { url: 'http://127.0.0.1:14788', uris: [] },
        { url: 'https://c.test/x', uris: [] },
      ],
      minCalendars: 2,
      ephemeral: false,
    });
  });

  it('are enough when two have answered, or the one there is, or as many as one says', () => {
    expect(read({ OTS_CALENDARS: 'https://a.test' }).ots?.minCalendars).toBe(1);
    expect(read({ OTS_CALENDARS: 'https://a.test,https://b.test', OTS_MIN_CALENDARS: '1' }).ots?.minCalendars).toBe(1);
  });

  it.each([
    '',
    'ftp://a.test',
    'https://user:word@a.test',
    'https://a.test?x',
    'a.test',
    'https://a.test=b',
    'https://a.test=',
  ])('are refused as %j', (text) => {
    expect(faultsOf({ OTS_CALENDARS: `https://fine.test,${text || '='}` })).toEqual([
      'OTS_CALENDARS: not a list of calendars: https://calendar.example, or https://pool.example=https://calendar.example',
    ]);
  });

  it('have all their faults reported together', () => {
    expect(faultsOf({ OTS_CALENDARS: 'https://a.test,https://a.test/' })).toEqual([
      'OTS_CALENDARS: names a calendar twice',
    ]);
    expect(faultsOf({ OTS_MIN_CALENDARS: '2', BITCOIN_COOKIE_FILE: '/cookie' })).toEqual([
      'OTS_CALENDARS: must be set beside OTS_MIN_CALENDARS',
      'BITCOIN_RPC_URL: must be set beside BITCOIN_COOKIE_FILE',
    ]);
    expect(faultsOf({ OTS_CALENDARS: 'https://a.test', OTS_MIN_CALENDARS: '3' })).toEqual([
      'OTS_MIN_CALENDARS: 3 of 1 calendars can never answer',
    ]);
    const secret = faultsOf({
      BITCOIN_RPC_URL: 'user:hunter2@host',
      BITCOIN_CHAIN: 'regtest',
      BITCOIN_CONFIRMATIONS: '0',
    });
    expect(secret).toHaveLength(3);
    expect(secret.join()).not.toContain('hunter2');
  });
});

describe('Bitcoin', () => {
  it('is asked at nodes and explorers, which are of one chain', () => {
    const { bitcoin, ots } = read({
      OTS_CALENDARS: 'https://a.test',
      BITCOIN_RPC_URL: 'http://user:word@one.test:8332,http://two.test',
      BITCOIN_ESPLORA_URL: 'https://esplora.test/api',
      BITCOIN_COOKIE_FILE: '/cookie',
      BITCOIN_CONFIRMATIONS: '3',
      BITCOIN_CHAIN: REGTEST,
    });
    expect(bitcoin).toEqual({
      chain: REGTEST,
      rpcUrls: ['http://user:word@one.test:8332', 'http://two.test'],
      esploraUrls: ['https://esplora.test/api'],
      cookieFile: '/cookie',
      confirmations: 3,
    });
    // What is stamped into one chain is nothing on another.
    expect(ots?.name).toBe('opentimestamps-0f9188f1');
    const source = bitcoinSource(bitcoin);
    expect(source?.chain).toBe(REGTEST);
    expect(source?.describe()).toMatch(/one\.test:8332 and .*two\.test and .*esplora\.test/);
    expect(source?.describe()).not.toContain('word');
    expect(confirmationDelay(ots, bitcoin)).toBe(10_800_000);
  });

  it('may be left out: then nothing is ever confirmed', () => {
    const { bitcoin, ots } = read({ OTS_CALENDARS: 'https://a.test' });
    expect(bitcoin).toMatchObject({ chain: BITCOIN, confirmations: 6 });
    expect(bitcoinSource(bitcoin)).toBeNull();
    expect(confirmationDelay(ots, bitcoin)).toBeNull();
  });
});
