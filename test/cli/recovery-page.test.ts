// Backup, loss, recovery and audit in one pass, by the commands of docs/operations.md.

import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { SENDER_KEY } from '../support/anchoring.ts';
import { testChain } from '../support/chain.ts';
import { DebianPostgres, debianPostgresMissing } from '../support/debian-postgres.ts';
import { Sufferer } from '../support/misfortune.ts';

const PAGE = new URL('../../docs/operations.md', import.meta.url);
const BIN = fileURLToPath(new URL('../../src/cli/antequem.js', import.meta.url));

/** The commands of a section, in order: what is indented by four spaces. */
async function commandsOf(section: string): Promise<string[]> {
  const text = await readFile(PAGE, 'utf8');
  const [, body = ''] = text.split(`\n## ${section}\n`);
  return (body.split('\n## ')[0] ?? '').split('\n').flatMap((line) => (/^ {4}\S/.test(line) ? [line.trim()] : []));
}

test.skipIf(debianPostgresMissing !== null)(
  'the commands of the page bring the service back at once, and the audit names the declared loss',
  async () => {
    const [backup, create, restore, adopt, show, accept, audit, ...rest] = await commandsOf('Back up and restore');
    expect([backup, create, restore, adopt, show, accept, audit]).toEqual([
      expect.stringMatching(/^pg_dump /),
      expect.stringMatching(/^createdb /),
      expect.stringMatching(/^pg_restore /),
      'export DATABASE_URL="$RESTORED_URL"',
      expect.stringMatching(/^antequem recover /),
      'antequem recover --yes',
      'antequem audit',
    ]);
    expect(rest).toEqual([]);

    const server = await DebianPostgres.open();
    const chain = await testChain();
    await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
    const folder = await mkdtemp(join(tmpdir(), 'antequem-page-'));
    await writeFile(join(folder, 'key'), SENDER_KEY);
    const shim = join(folder, 'antequem');
    await writeFile(shim, `#!/bin/sh\nexec ${process.execPath} ${BIN} "$@"\n`);
    await chmod(shim, 0o755);
    const service = await Sufferer.open({
      DATABASE_URL: server.url(),
      LOG_GUARD_FILE: join(folder, 'guard'),
      EVM_RPC_URLS: chain.url,
      EVM_CHAIN_ID: '31337',
      EVM_PRIVATE_KEY_FILE: join(folder, 'key'),
    });
    const run = (command = ''): { status: number | null; output: string } => {
      const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
        cwd: folder,
        encoding: 'utf8',
        env: {
          ...process.env,
          ...service.environment,
          NO_COLOR: '1',
          RESTORED_URL: server.url('restored'),
          PATH: `${folder}:/usr/lib/postgresql/15/bin:${process.env.PATH}`,
        },
      });
      return { status, output: `${stdout}${stderr}` };
    };
    try {
      await anchored(service);
      expect(run(backup)).toMatchObject({ status: 0 });
      // What comes now is answered, published and anchored, and no backup has it.
      for (let i = 0; i < 3; i++) expect(await service.append()).toBe('201');
      await anchored(service);
      const before = service.told.length;
      await service.kill();
      for (const command of [create, restore]) expect(run(command)).toMatchObject({ status: 0, output: '' });
      const after = (command: string | undefined) => run(`${adopt}; ${command}`);

      const shown = after(show);
      expect(shown).toMatchObject({ status: 0, output: expect.stringContaining('something is lost') });
      expect(shown.output).toMatch(/logs\/demo: at least 3 entries lost/);
      expect(after(accept)).toMatchObject({ status: 0 });

      await service.start({ DATABASE_URL: server.url('restored') });
      expect(await service.append()).toBe('201');
      await anchored(service);
      const { says, checks } = await service.readiness();
      expect([says, checks.published, checks.targets]).toEqual(['ready', 'ok', 'ok']);
      expect(service.told.at(-1)?.index).toBe(before - 3);
      const audited = after(audit);
      console.log(audited.output);
      // Neither proven, since rounds are missing, nor refuted, since that was declared.
      expect(audited.status).toBe(2);
      expect(audited.output).toContain('the operator declared that something published was lost');
    } finally {
      await service.close();
      await chain[Symbol.asyncDispose]();
      await server.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
  180_000,
);

/** All that was appended is in a round that is anchored for good. */
async function anchored(service: Sufferer): Promise<void> {
  await expect.poll(() => service.metric('antequem_unanchored_entries'), { timeout: 120_000, interval: 300 }).toBe(0);
}
