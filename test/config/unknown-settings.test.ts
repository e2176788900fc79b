import { expect, test } from 'vitest';
import { mistypedSettings, readConfig } from '../../src/config.ts';

test.each([
  ['EVM_RPC_URL', 'EVM_RPC_URLS'],
  ['EVM_RCP_URLS', 'EVM_RPC_URLS'],
  ['LOG_SEED_FIEL', 'LOG_SEED_FILE'],
  ['OTS_CALENDAR', 'OTS_CALENDARS'],
  ['BITCOIN_RPC_URLS', 'BITCOIN_RPC_URL'],
  ['DATABASE_URI', 'DATABASE_URL'],
  ['ROUND_INTERVALL', 'ROUND_INTERVAL'],
  ['origin', 'ORIGIN'],
  ['ANTEQUEM_ORIGIN', 'ORIGIN'],
])('%s is set: did you mean %s?', (name, meant) => {
  expect(mistypedSettings({ [name]: 'secret' })).toEqual([
    `${name} is set, which is no setting: did you mean ${meant}?`,
  ]);
});

test('an unknown name with the prefix of a group is named, without a guess', () => {
  expect(mistypedSettings({ EVM_SOMETHING_ELSE: '1' })).toEqual([
    'EVM_SOMETHING_ELSE is set, which is no setting: see docs/configuration.md',
  ]);
});

test('what environments hold besides is passed over', () => {
  const names = [
    'PATH HOME HOSTNAME LOGNAME USER SHELL LANG TERM PWD SHLVL TZ EDITOR MAIL DISPLAY NODE_ENV NODE_OPTIONS',
    'PGHOST PGPORT PGUSER PGDATABASE SSL_CERT_FILE XDG_STATE_HOME NO_COLOR CI DATA_DIR KUBERNETES_SERVICE_HOST',
    'ANTEQUEM_URL ANTEQUEM_API_KEY ANTEQUEM_PORT ANTEQUEM_SERVICE_HOST REDIS_PORT BITCOIN_PORT_8332_TCP POSTGRES_URL',
  ].flatMap((line) => line.split(' '));
  expect(mistypedSettings(Object.fromEntries(names.map((name) => [name, 'x'])))).toEqual([]);
});

test('no setting is taken for another', async () => {
  const { environment } = await import('../../src/config.ts');
  expect(mistypedSettings(Object.fromEntries(Object.keys(environment.shape).map((name) => [name, 'x'])))).toEqual([]);
});

test('the faults of a configuration come with what looks mistyped, and with no value', () => {
  const read = (): unknown =>
    readConfig({ DATABASE_URL: 'postgres://x/y', ORIGIN: 'log.example.org', LOG_SEED_FIEL: 'a-secret' });
  expect(read).toThrow(
    /LOG_SEED_FILE: must be set\n {2}LOG_SEED_FIEL is set, which is no setting: did you mean LOG_SEED/,
  );
  expect(read).not.toThrow(/a-secret/);
});
