import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

const priority = pathToFileURL(join(import.meta.dirname, '../../src/start/priority.ts')).href;

/** Yields in the main thread or in a thread of its own. @returns the priority of each thread of the process */
function prioritiesAfter(where: 'main' | 'thread'): number[] {
  const yielding = `import(${JSON.stringify(priority)}).then(({ yieldToOthers }) => yieldToOthers())`;
  const program = `
    const { readdirSync, readFileSync } = require('node:fs');
    const tell = () => {
      const priorities = readdirSync('/proc/self/task').map((thread) =>
        Number(readFileSync('/proc/self/task/' + thread + '/stat', 'utf8').split(') ').at(-1).split(' ')[16]));
      process.stdout.write(JSON.stringify(priorities), () => process.exit());
    };
    if (${where === 'main'}) ${yielding}.then(tell);
    else {
      const code = ${JSON.stringify(`${yielding}.then(() => { require('node:worker_threads').parentPort.postMessage(0); setInterval(() => {}, 1000); })`)};
      new (require('node:worker_threads').Worker)(code, { eval: true }).once('message', tell);
    }`;
  return JSON.parse(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }));
}

describe.runIf(process.platform === 'linux')('what yields to others', () => {
  it('is all of a process whose main thread yields', () => {
    const priorities = prioritiesAfter('main');
    expect(priorities.length).toBeGreaterThan(1);
    expect(new Set(priorities)).toEqual(new Set([19]));
  });

  it('is a thread alone that is not the main one', () => {
    const priorities = prioritiesAfter('thread');
    expect(priorities.filter((nice) => nice === 19)).toHaveLength(1);
  });
});
