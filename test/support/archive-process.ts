// A process that archives and dies at its n-th step: a query of the database or a request to the store.

import pg from 'pg';
import { Bucket } from '../../src/archive/bucket.ts';
import { deleteLeftovers, moveBlocks } from '../../src/archive/moved-blocks.ts';
import { moveTiles } from '../../src/archive/moved-tiles.ts';
import { publishArchive } from '../../src/archive/publishing.ts';
import { openInstance } from './instance.ts';

const [url = '', addresses = '[]', most = '0'] = process.argv.slice(2);
let left = Number(most);
let armed = false;

function step(): void {
  if (armed && left-- <= 0) process.kill(process.pid, 'SIGKILL');
}

const query: unknown = Reflect.get(pg.Client.prototype, 'query');
if (typeof query !== 'function') throw new Error('no query');
Reflect.set(pg.Client.prototype, 'query', function (this: pg.Client, ...given: unknown[]): unknown {
  step();
  return Reflect.apply(query, this, given);
});
const request = globalThis.fetch;
globalThis.fetch = async (...given) => {
  step();
  const answer = await request(...given);
  step();
  return answer;
};

const [open, closed] = JSON.parse(addresses);
const one = await openInstance(url);
const { database, effects, tiles, entries, trees, registry, publisher } = one;
const signal = new AbortController().signal;
const before = Date.now() + 1_000;
armed = true;
await publishArchive(
  {
    ...{ database, tiles, entries, trees, registry, signal },
    store: new Bucket(open),
    checkpoints: publisher,
    anchors: async () => [],
    chains: async () => [],
    publishRounds: true,
    lock: () => null,
  },
  0,
  before,
  async () => {},
);
await moveTiles({ database, store: new Bucket(open), lock: () => null, signal }, before);
const store = new Bucket(closed);
await moveBlocks({ database, store, random: effects.random, lock: () => null, signal }, before);
await deleteLeftovers(database, store);
armed = false;
await one.end();
console.log('done');
