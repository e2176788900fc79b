import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import type { OpenApi } from '../../src/api/openapi.ts';
import { type TestService, testService } from '../support/service.ts';

const run = promisify(execFile);

/** What examples are answered with that name a thing which is not there. */
const REFUSED: Readonly<Record<string, number>> = {
  // Not in Bitcoin.
  readTimestamp: 404,
  readReceiptOts: 404,
  // No authority stamps its rounds.
  readReceiptTsr: 404,
  // The signature of an example is none.
  deliverToSource: 401,
  // Only a page of the service may.
  openSession: 403,
  // There are holds that the example does not name.
  confirmHolds: 409,
};

// What curl did, which JavaScript then repeats.
const REPEATED: Readonly<Record<string, number>> = { createSource: 409 };

let service: TestService;
let folder: string;
beforeAll(async () => {
  service = await testService({ config: { calendar: { uri: 'http://127.0.0.1:3963', perMinute: 1_000 } } });
  folder = await mkdtemp(join(tmpdir(), 'antequem-examples-'));
  await service.send('PUT', '/v1/logs/demo');
  await service.send('POST', '/v1/logs/demo/entries?split=lines', { body: 'test\nsecond\nthird' });
  await service.closeRound();
  const { database } = service.foundation;
  await database.query(
    `INSERT INTO webhooks (id, url, description, events, created_at) VALUES ('wh_0123456789abcdef', 'https://x/', '', '{round.closed}', 0)`,
  );
  await database.query(
    `INSERT INTO sources (id, name, kind, scheme, settings, log, created_at)
     SELECT 'src_0123456789abcdef0123456789abcdef', 'shown', 'webhook', 'standard-webhooks', '{}', id, 0 FROM logs WHERE name = 'demo'`,
  );
  await database.query(
    `INSERT INTO holds (id, log, until, reason, added_at)
     SELECT 'hold_0123456789abcdef0123456789abcdef', id, 1, 'shown', 0 FROM logs WHERE name = 'demo'`,
  );
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Shown {
  readonly id: string;
  readonly curl: string;
  readonly javascript: string;
}

/** The examples on the page. */
async function examples(): Promise<Shown[]> {
  const page = (await service.send('GET', '/docs')).text;
  const plain = (html: string): string =>
    html.replace(
      /&(amp|lt|gt|quot|#39);/g,
      (_, name: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"' })[name] ?? "'",
    );
  return [
    // Nothing is anchored here that could be waited for.
    ...page
      .replaceAll('wait=60', 'wait=0')
      .matchAll(
        /<article id="(\w+)">(?:(?!<\/article>)(?:.|\n))*<h4>curl<\/h4><pre>([^<]*)<\/pre><h4>JavaScript<\/h4><pre>([^<]*)<\/pre>/g,
      ),
  ].map(([, id = '', curl = '', javascript = '']) => ({ id, curl: plain(curl), javascript: plain(javascript) }));
}

it('shows curl and JavaScript for each call, with the address that it was asked at; all of them work', async () => {
  const document: OpenApi = JSON.parse((await service.send('GET', '/openapi.json')).text);
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const shown = await examples();
  expect(shown.map(({ id }) => id).sort()).toEqual(operations.map(({ operationId }) => operationId).sort());

  const byCurl: Record<string, number> = {};
  const byScript: Record<string, number> = {};
  const runAll = async (some: readonly Shown[]): Promise<void> => {
    for (const { id, curl } of some) {
      const command = curl.replace(/(^|\n *)curl (?!-s)/, `$1curl -s -o answer -w '%{http_code}' `);
      byCurl[id] = Number((await run('sh', ['-c', command], { cwd: folder })).stdout);
    }
    const scripts = join(folder, 'scripts.mjs');
    await writeFile(
      scripts,
      `const statuses = {}; const console = { log() {} };
${some.map(({ id, javascript }) => `{ ${javascript}\nstatuses.${id} = response.status; }`).join('\n')}
process.stdout.write(JSON.stringify(statuses));`,
    );
    const { stdout } = await run(process.execPath, [scripts], { cwd: folder });
    Object.assign(byScript, z.record(z.string(), z.number()).parse(JSON.parse(stdout)));
  };
  const [kept = [], taken = []] = [false, true].map((takes) =>
    shown.filter(({ curl }) => curl.includes('DELETE') === takes),
  );
  await runAll(kept);
  await runAll(taken);
  for (const { operationId: id, responses } of operations) {
    const expected =
      REFUSED[id] === undefined
        ? Object.keys(responses)
            .filter((status) => status < '300')
            .map(Number)
        : [REFUSED[id]];
    expect([id, expected]).toEqual([id, expect.arrayContaining([byCurl[id]])]);
    // What curl took away is gone.
    const gone = shown.find((each) => each.id === id)?.curl.includes('DELETE') === true;
    const again = REPEATED[id] === undefined ? expected : [REPEATED[id]];
    if (!gone) expect([id, again]).toEqual([id, expect.arrayContaining([byScript[id]])]);
  }
});
