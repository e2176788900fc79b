// Appending over HTTP: batches of 1,000 entries of 200 bytes on one, two and four connections from empty to the size
// asked for, single entries on 64, proofs at the end; beside bare COPY and bare Express in the same run.
//
//   node bench/append.ts [--entries 1000000] [--connections 1,2,4] [--singles 60000]

import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startChild } from './child.ts';
import { copyRates } from './copy.ts';
import { machine, percent, perSecond, withDatabase } from './ground.ts';
import { runLoad } from './load.ts';

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    connections: { type: 'string', default: '1,2,4' },
    singles: { type: 'string', default: '60000' },
  },
});
const total = Number(values.entries);
const perMillion = 1_000;

const say = (line: string): void => console.log(line);
// Hex of random bytes: lines without newlines in them, and nothing that compresses away.
const bodies = Array.from({ length: 64 }, () =>
  Buffer.from(Array.from({ length: 1_000 }, () => `${randomBytes(100).toString('hex')}\n`).join('')),
);
const pool = randomBytes(1 << 20);
const single = (i: number): Uint8Array => {
  const at = (i * 97) % (pool.length - 200);
  return pool.subarray(at, at + 200);
};

say(machine());

let copied: number[] = [];
await withDatabase(async (url) => {
  copied = await copyRates(url, total);
  say(`\nbare COPY, 1,000 rows a commit, equal table and indexes`);
  for (const [i, rate] of copied.entries()) say(`  million ${String(i + 1).padStart(2)}  ${perSecond(rate)}`);
});

for (const connections of values.connections.split(',').map(Number)) {
  await withDatabase(async (database) => {
    await using service = await startChild('./service-process.ts', database);
    await fetch(`${service.url}/v1/logs/bench`, { method: 'PUT' });
    say(`\nbatches of 1,000 entries of 200 bytes over HTTP, ${connections} connection(s)`);
    let mark = performance.now();
    const rates: number[] = [];
    const result = await runLoad({
      url: service.url,
      connections,
      requests: total / 1_000,
      method: 'POST',
      path: '/v1/logs/bench/entries',
      headers: { 'content-type': 'application/x-ndjson' },
      body: (i) => bodies[i % bodies.length] ?? pool,
      expect: 201,
      onAnswer: (done) => {
        if (done % perMillion !== 0) return;
        const now = performance.now();
        rates.push(1_000_000 / ((now - mark) / 1_000));
        mark = now;
        const beside = (rates.at(-1) ?? 0) / (copied[rates.length - 1] ?? Number.NaN);
        say(
          `  million ${String(rates.length).padStart(2)}  ${perSecond(rates.at(-1) ?? 0)}  ${percent(beside)} of COPY`,
        );
      },
    });
    const { maxRss } = await service.usage();
    say(
      `  in all      ${perSecond((result.requests * 1_000) / result.seconds)}  failures ${result.failures}, p99 ${result.p99.toFixed(0)} ms a batch, service at most ${Math.round(maxRss / 2 ** 20)} MB`,
    );

    const proofs = await runLoad({
      url: service.url,
      connections: 1,
      requests: 1_000,
      method: 'GET',
      path: `/v1/logs/bench/proofs/consistency?from=${Math.floor(total / 3)}&to=${total}`,
      expect: 200,
    });
    say(
      `  consistency proof at ${total.toLocaleString('en')}: p50 ${proofs.p50.toFixed(2)} ms, p99 ${proofs.p99.toFixed(2)} ms`,
    );
    const latencies: number[] = [];
    for (let i = 0; i < 300; i++) {
      const index = Math.floor(Math.random() * total);
      const start = performance.now();
      const response = await fetch(`${service.url}/v1/logs/bench/entries/${index}/receipt`);
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`receipt ${index}: ${response.status}`);
      latencies.push(performance.now() - start);
    }
    latencies.sort((a, b) => a - b);
    say(
      `  receipt of a random entry, tiles not in memory: p50 ${latencies[150]?.toFixed(2)} ms, p99 ${latencies[297]?.toFixed(2)} ms`,
    );
  });
}

await withDatabase(async (database) => {
  await using service = await startChild('./service-process.ts', database);
  await using express = await startChild('./express-process.ts');
  await fetch(`${service.url}/v1/logs/bench`, { method: 'PUT' });
  say('\nsingle entries of 200 bytes, 64 connections');
  const load = (url: string) =>
    runLoad({
      url,
      connections: 64,
      requests: Number(values.singles),
      method: 'POST',
      path: '/v1/logs/bench/entries',
      body: single,
      expect: 201,
    });
  // Twice each, the second counts: the first warms the compilers up.
  await load(express.url);
  await load(service.url);
  const bare = await load(express.url);
  const ours = await load(service.url);
  const rate = ours.requests / ours.seconds;
  say(`  bare Express ${perSecond(bare.requests / bare.seconds)}  p99 ${bare.p99.toFixed(1)} ms`);
  say(
    `  append       ${perSecond(rate)}  p99 ${ours.p99.toFixed(1)} ms  ${percent(rate / (bare.requests / bare.seconds))} of bare Express, failures ${ours.failures}`,
  );
});
