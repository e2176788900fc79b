import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';

const BASE = {
  ORIGIN: 'log.example.org',
  DATABASE_URL: 'postgres://localhost/antequem',
  LOG_SEED_FILE: '/etc/antequem/seed',
};
const ON = { ...BASE, CALENDAR: 'on', OTS_CALENDARS: 'https://calendar.example' };

describe('our own calendar', () => {
  it('is off unless it is turned on', () => {
    expect(readConfig(BASE).calendar).toBeNull();
    expect(readConfig({ ...ON, CALENDAR: 'off' }).calendar).toBeNull();
  });

  it('is named by the host of the origin, or as it is told', () => {
    expect(readConfig(ON).calendar).toEqual({ uri: 'https://log.example.org', perMinute: 600 });
    expect(readConfig({ ...ON, ORIGIN: 'log.example.org:8443' }).calendar?.uri).toBe('https://log.example.org:8443');
    const told = { ...ON, ORIGIN: 'log.example.org/a', CALENDAR_URL: 'http://10.0.0.1:3963', CALENDAR_RATE: '30' };
    expect(readConfig(told).calendar).toEqual({ uri: 'http://10.0.0.1:3963', perMinute: 30 });
  });

  it.each([
    ['CALENDAR', { CALENDAR: 'yes' }],
    ['OTS_CALENDARS', { OTS_CALENDARS: '' }],
    ['CALENDAR_URL', { ORIGIN: 'log.example.org/path' }],
    ['CALENDAR_URL', { CALENDAR_URL: 'https://log.example.org/' }],
    ['CALENDAR_URL', { CALENDAR_URL: 'https://user@log.example.org' }],
    ['CALENDAR_URL', { CALENDAR_URL: 'log.example.org' }],
    ['CALENDAR_URL', { CALENDAR_URL: 'https://[::1]:80' }],
    ['CALENDAR_RATE', { CALENDAR_RATE: '0' }],
    ['TRUSTED_PROXIES', { TRUSTED_PROXIES: 'proxy.example.org' }],
    ['TRUSTED_PROXIES', { TRUSTED_PROXIES: '10.0.0.0/33' }],
    ['TRUSTED_PROXIES', { TRUSTED_PROXIES: '10.0.0.0/8/8' }],
  ])('with a fault in %s is refused', (name, settings) => {
    expect(() => readConfig({ ...ON, ...settings })).toThrow(
      new RegExp(`^the configuration has 1 fault.*\\n  ${name}: `),
    );
  });

  it('believes no proxy unless told so', () => {
    expect(readConfig(ON).trustedProxies).toEqual([]);
    const proxies = 'loopback, 10.0.0.0/8, 2001:db8::/32, 192.0.2.1';
    expect(readConfig({ ...ON, TRUSTED_PROXIES: proxies }).trustedProxies).toEqual(proxies.split(', '));
  });
});
