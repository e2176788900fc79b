// Chooses the page by the fragment (after #) of the address.

import { computed, signal } from '@preact/signals';
import { HASH_HEX } from '../../core/bytes.ts';

export type Route =
  | { readonly page: 'overview' | 'rounds' | 'stamp' | 'unknown' }
  | { readonly page: 'round'; readonly number: number }
  | { readonly page: 'log'; readonly log: string; readonly until: number | null }
  | { readonly page: 'entry'; readonly log: string; readonly index: number }
  | { readonly page: 'find'; readonly digest: string };

const address = signal(location.hash);
addEventListener('hashchange', () => {
  address.value = location.hash;
});

export const route = computed(() => parseRoute(address.value));

const NAME = /^[a-z0-9_][a-z0-9._-]{0,62}$/;
const NUMBER = /^(0|[1-9]\d{0,14})$/;

function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split('?', 2);
  const [page = '', name = '', index, ...rest] = path.split('/');
  const unknown = { page: 'unknown' } as const;
  if (rest.length > 0) return unknown;
  if (name === '') {
    if (page === '') return { page: 'overview' };
    return page === 'rounds' || page === 'stamp' ? { page } : unknown;
  }
  if (page === 'find' && HASH_HEX.test(name)) return { page, digest: name };
  if (page === 'rounds' && NUMBER.test(name)) return { page: 'round', number: Number(name) };
  if (page !== 'logs' || !NAME.test(name)) return unknown;
  if (index !== undefined) return NUMBER.test(index) ? { page: 'entry', log: name, index: Number(index) } : unknown;
  const until = new URLSearchParams(query).get('until') ?? '';
  return { page: 'log', log: name, until: NUMBER.test(until) ? Number(until) : null };
}

export const href = {
  overview: '#/',
  rounds: '#/rounds',
  stamp: '#/stamp',
  round: (number: number) => `#/rounds/${number}`,
  log: (log: string, until?: number) => `#/logs/${log}${until === undefined ? '' : `?until=${until}`}`,
  entry: (log: string, index: number) => `#/logs/${log}/${index}`,
  find: (digest: string) => `#/find/${digest}`,
};

export function go(to: string): void {
  location.hash = to;
}
