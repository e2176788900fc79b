// Chooses the page by the fragment (after #) of the address.

import { computed, signal } from '@preact/signals';
import { HASH_HEX } from '../../core/bytes.ts';

export type Route =
  | { readonly page: 'overview' | 'rounds' | 'sources' | 'stamp' | 'unknown' }
  | { readonly page: 'round'; readonly number: number }
  | {
      readonly page: 'log';
      readonly log: string;
      readonly until: number | null;
      /** Null: all entries. */
      readonly criteria: LogCriteria | null;
      /** The index from which on a search looks. */
      readonly from: number;
    }
  | { readonly page: 'entry'; readonly log: string; readonly index: number }
  | { readonly page: 'find'; readonly digest: string };

/** What is looked for in a log; times as `datetime-local` fields write them, in UTC. */
export type LogCriteria = { readonly [name in (typeof CRITERIA)[number]]?: string };
const CRITERIA = ['text', 'field', 'since', 'until'] as const;

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
    return page === 'rounds' || page === 'sources' || page === 'stamp' ? { page } : unknown;
  }
  if (page === 'find' && HASH_HEX.test(name)) return { page, digest: name };
  if (page === 'rounds' && NUMBER.test(name)) return { page: 'round', number: Number(name) };
  if (page !== 'logs' || !NAME.test(name)) return unknown;
  if (index !== undefined) return NUMBER.test(index) ? { page: 'entry', log: name, index: Number(index) } : unknown;
  const asked = new URLSearchParams(query);
  const numberOf = (key: string): number | null => (NUMBER.test(asked.get(key) ?? '') ? Number(asked.get(key)) : null);
  const found = CRITERIA.flatMap((key) => (asked.get(`find.${key}`) ? [[key, asked.get(`find.${key}`) ?? '']] : []));
  return {
    page: 'log',
    log: name,
    until: numberOf('until'),
    criteria: found.length === 0 ? null : Object.fromEntries(found),
    from: numberOf('from') ?? 0,
  };
}

export const href: Href = {
  overview: '#/',
  rounds: '#/rounds',
  sources: '#/sources',
  stamp: '#/stamp',
  round: (number: number) => `#/rounds/${number}`,
  log: (log: string, until?: number) => `#/logs/${log}${until === undefined ? '' : `?until=${until}`}`,
  search(log: string, criteria: LogCriteria, from = 0) {
    const query = new URLSearchParams();
    for (const key of CRITERIA) if (criteria[key]) query.set(`find.${key}`, criteria[key]);
    if (from > 0) query.set('from', String(from));
    return query.size === 0 ? href.log(log) : `#/logs/${log}?${query}`;
  },
  entry: (log: string, index: number) => `#/logs/${log}/${index}`,
  find: (digest: string) => `#/find/${digest}`,
};

interface Href {
  readonly overview: string;
  readonly rounds: string;
  readonly sources: string;
  readonly stamp: string;
  round(number: number): string;
  log(log: string, until?: number): string;
  search(log: string, criteria: LogCriteria, from?: number): string;
  entry(log: string, index: number): string;
  find(digest: string): string;
}

export function go(to: string): void {
  location.hash = to;
}
