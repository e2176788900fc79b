#!/usr/bin/env bash
# bullmq 6.7.0: one worker with a wrong clock stops a schedule for everybody.
#
# When a job of a job scheduler is taken, the next one is put at the clock of the worker that took it plus the period. A
# worker an hour ahead that takes one job of a schedule of one second leaves the next job an hour away. Workers whose
# clocks are right wait for it, and so does upsertJobScheduler from a right clock, as long as the schedule stands.
# Needs redis-server.
#
# Seen on Node 24 with Redis 7: next run in 1 h; after another upsert in 1 h
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm pkg set type=module >/dev/null
npm install --silent --no-audit --no-fund bullmq@6.7.0 ioredis@6.0.0
redis-server --port 0 --unixsocket "$PWD/redis.sock" --save '' --appendonly no >/dev/null &
trap 'kill %1' EXIT
while ! [ -S redis.sock ]; do sleep 0.1; done
cat >run.mjs <<'JS'
import { Queue, Worker } from 'bullmq';
const connection = { path: `${process.cwd()}/redis.sock`, maxRetriesPerRequest: null };
const queue = new Queue('q', { connection });
await queue.upsertJobScheduler('tick', { every: 1_000 }, { name: 'tick' });
const now = Date.now;
const inHours = async () => Math.round(((await queue.getJobScheduler('tick')).next - now()) / 3_600_000);
let taken;
const once = new Promise((done) => (taken = done));
Date.now = () => now() + 3_600_000;
const worker = new Worker('q', async () => taken(), { connection });
await once;
await worker.close();
Date.now = now;
const after = await inHours();
await queue.upsertJobScheduler('tick', { every: 1_000 }, { name: 'tick' });
console.log(`next run in ${after} h; after another upsert in ${await inHours()} h`);
process.exit(0);
JS
out=$(node run.mjs)
echo "$out"
[ "$out" = 'next run in 1 h; after another upsert in 1 h' ] || { echo changed; exit 1; }
