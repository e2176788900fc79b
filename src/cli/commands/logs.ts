import { Command } from 'commander';
import * as z from 'zod/mini';
import { ML_DSA_44_COSIGNATURE } from '../../core/cosignature.ts';
import { AntequemError } from '../../core/errors.ts';
import { formatVerifierKey } from '../../core/note.ts';
import { formatTime } from '../../core/time.ts';
import type { Log } from '../../log/log.ts';
import type { Registry } from '../../log/registry.ts';
import type { LogWithKey } from '../../log/rotation.ts';
import type { Foundation } from '../../start/foundation.ts';
import { logName, wholeNumberArgument } from '../options.ts';
import { counted, note, print, printJson } from '../output.ts';
import { type GlobalOptions, openSession } from '../session.ts';

const PAGE = 1_000;

const listing = z.object({ name: z.string(), listed: z.boolean() });

/**
 * `antequem logs`: creates logs through the service, and manages the keys that sign them. The latter works on the
 * database, because it needs the service's seeds.
 */
export function logsCommand(): Command {
  return new Command('logs')
    .addCommand(createCommand())
    .addCommand(listedCommand())
    .addCommand(keysCommand())
    .addCommand(rotateCommand())
    .addCommand(retireCommand())
    .addCommand(mlDsaCommand())
    .addHelpText(
      'after',
      `
A new key signs together with the old one until that is retired; _system tells of both. docs/operations.md, "Rotating keys".

Examples:
  $ antequem logs create payments
  $ antequem logs listed payments
  $ antequem logs keys payments
  $ antequem logs rotate payments
  $ antequem logs rotate --all
  $ antequem logs retire payments 1
  $ antequem logs retire --all
  $ antequem logs ml-dsa payments`,
    );
}

function createCommand(): Command {
  return new Command('create')
    .description('create logs unless they exist, and print their verifier keys; needs a key with the scope admin')
    .argument('<log...>', 'their names', names)
    .option('--unblinded', 'without nonces: anybody who reads the tree can check a guess of what was logged')
    .action(async (logs: string[], { unblinded }: { unblinded?: true }, command: Command) => {
      const { client, json } = openSession(command);
      const made = [];
      for (const log of logs) {
        const { origin, verifierKey } = await client.createLog(log, unblinded === true ? { blinded: false } : {});
        made.push({ log, origin, verifierKey });
        if (!json) print(`${log}  ${verifierKey}`);
      }
      if (json) printJson(made);
    });
}

function listedCommand(): Command {
  return new Command('listed')
    .description(
      "show logs' names and keys to anybody, in /.well-known/scitt-keys and witness-logs; needs a key with the scope admin",
    )
    .argument('<log...>', 'which logs', names)
    .option('--off', 'stop showing them')
    .action(async (logs: string[], { off }: { off?: true }, command: Command) => {
      const { client, json } = openSession(command);
      const answers = [];
      for (const log of logs) {
        const answer = await client.call(listing, 'PUT', `/v1/logs/${log}/listed`, { listed: off !== true });
        answers.push(answer);
        if (!json) print(`${answer.name}  ${answer.listed ? 'listed' : 'not listed'}`);
      }
      if (json) printJson(answers);
    });
}

function keysCommand(): Command {
  return new Command('keys')
    .description('list the verifier keys of logs, including retired ones')
    .argument('[log...]', 'which logs (default: all)', names)
    .option('--cose', 'the keys for COSE receipts instead, as far as a seed in LOG_SEED_FILE makes them')
    .action(async (logs: string[], { cose }: { cose?: true }, command: Command) => {
      if (cose === true) return coseKeys(logs, isJson(command));
      const found = await withLogs(logs, logs.length === 0, async ({ database }, logs) => {
        const { readLogKeys } = await import('../../log/rotation.ts');
        const keys = await readLogKeys(database, logs);
        return logs.flatMap((log) => (keys.get(log.id) ?? []).map((key) => ({ log, key })));
      });
      if (isJson(command)) return printJson(found.map(view));
      for (const each of found) print(line(each));
    });
}

async function coseKeys(logs: string[], json: boolean): Promise<void> {
  const keys = await withLogs(logs, logs.length === 0, async ({ registry }, logs) =>
    (await registry.derivable(logs)).map(({ cose }) => cose.verifierKey),
  );
  if (json) printJson(keys);
  else for (const key of keys) print(key);
}

interface AllOption {
  readonly all?: true;
}

function rotateCommand(): Command {
  return new Command('rotate')
    .description(
      'add a new key to each log, derived from the last seed in LOG_SEED_FILE; it signs together with the existing keys',
    )
    .argument('[log...]', 'which logs', names)
    .option('--all', 'all logs, _system too')
    .action(async (logs: string[], { all }: AllOption, command: Command) => {
      demandSome(logs.length > 0, all);
      await withLogs(logs, all === true, async (foundation, logs) => {
        const { addKeys } = await import('../../log/rotation.ts');
        const added = await addKeys(parts(foundation), logs);
        if (isJson(command)) printJson(added.map(view));
        else for (const each of added) print(line(each));
        note(`${counted(added.length, 'key', 'keys')} added; every process signs with them within ten seconds`);
        // Signed by old and new keys together, so that a verifier with an old key can trust the new one.
        await foundation.publisher.current(foundation.registry.system);
      });
    });
}

function mlDsaCommand(): Command {
  return new Command('ml-dsa')
    .description('have logs sign by ML-DSA-44 (post-quantum) beside Ed25519; each key then has one of ML-DSA beside it')
    .argument('[log...]', 'which logs', names)
    .option('--all', 'all logs, _system too')
    .option('--off', 'stop that')
    .action(async (logs: string[], { all, off }: AllOption & { off?: true }, command: Command) => {
      demandSome(logs.length > 0, all);
      await withLogs(logs, all === true, async (foundation, logs) => {
        const { setMlDsa } = await import('../../log/rotation.ts');
        const { registry, publisher } = foundation;
        const changed = await setMlDsa(parts(foundation), logs, off !== true);
        await publisher.current(registry.system);
        const shown = [];
        for (const log of logs) {
          const verifiers = (await registry.signers(log)).flatMap(({ verifiers }) => verifiers);
          const keys = verifiers
            .filter(({ type }) => type === ML_DSA_44_COSIGNATURE)
            .map(({ name, publicKey, type }) => formatVerifierKey(name, publicKey, type));
          shown.push({ log: log.name, mlDsaKeys: keys });
          if (!isJson(command)) for (const key of keys) print(`${log.name}  ${key}`);
        }
        if (isJson(command)) printJson(shown);
        note(`${counted(changed.length, 'log', 'logs')} changed; every process signs so within ten seconds`);
      });
    });
}

interface RetireOptions extends AllOption {
  readonly force?: true;
}

function retireCommand(): Command {
  return new Command('retire')
    .description('retire keys, which then no longer sign; without a number all except the newest')
    .argument('[log]', 'which log', logName)
    .argument('[number]', 'number of the key', wholeNumberArgument(1, 1_000_000))
    .option('--all', 'all logs, including _system')
    .option('--force', 'also if the remaining keys are less than a minute old')
    .action(async (log: string | undefined, number: number | undefined, options: RetireOptions, command: Command) => {
      demandSome(log !== undefined, options.all);
      await withLogs(log === undefined ? [] : [log], options.all === true, async (foundation, logs) => {
        const { retireKeys } = await import('../../log/rotation.ts');
        // Signed by the retiring keys too, so that a key known earlier vouches for the remaining ones.
        await foundation.publisher.current(foundation.registry.system);
        const retirements = logs.map((log) => ({ log, number: number ?? null }));
        const retired = await retireKeys(parts(foundation), retirements, options.force === true);
        if (isJson(command)) printJson(retired.map(view));
        else for (const each of retired) print(line(each));
        note(`${counted(retired.length, 'key', 'keys')} retired; no process signs with them after ten seconds`);
      });
    });
}

/** Looks up these logs and passes them on. @throws AntequemError `log-not-found` */
async function withLogs<T>(
  names: readonly string[],
  all: boolean,
  work: (foundation: Foundation, logs: readonly Log[]) => Promise<T>,
): Promise<T> {
  const [{ readConfig }, { openFoundation, realEffects }] = await Promise.all([
    import('../../config.ts'),
    import('../../start/foundation.ts'),
  ]);
  const foundation = await openFoundation(readConfig(process.env), realEffects);
  try {
    return await work(foundation, await (all ? allLogs(foundation.registry) : namedLogs(foundation.registry, names)));
  } finally {
    await foundation.close();
  }
}

async function allLogs(registry: Registry): Promise<Log[]> {
  const logs: Log[] = [];
  for (;;) {
    const page = await registry.list(logs.at(-1)?.name ?? '', PAGE);
    logs.push(...page);
    if (page.length < PAGE) return logs;
  }
}

async function namedLogs(registry: Registry, names: readonly string[]): Promise<Log[]> {
  const logs: Log[] = [];
  for (const name of new Set(names)) {
    const log = await registry.find(name);
    if (log === null) throw new AntequemError('log-not-found', `there is no log ${name}`);
    logs.push(log);
  }
  return logs;
}

function parts({ database, registry, publisher, appender, guard }: Foundation) {
  return { database, registry, publisher, sequencing: appender.sequencing, guard };
}

function demandSome(named: boolean, all: true | undefined): void {
  if (named === (all === true)) throw new AntequemError('arguments-invalid', 'give log names or --all, not both');
}

function names(name: string, before: readonly string[] = []): string[] {
  return [...before, logName(name)];
}

function view({ log, key }: LogWithKey): object {
  return {
    log: log.name,
    number: key.number,
    verifierKey: formatVerifierKey(log.origin, key.publicKey),
    addedAt: formatTime(key.addedAt),
    retiredAt: key.retiredAt === null ? null : formatTime(key.retiredAt),
  };
}

function line({ log, key }: LogWithKey): string {
  const state = key.retiredAt === null ? 'active' : `retired ${formatTime(key.retiredAt)}`;
  return `${log.name}  ${key.number}  ${state}  ${formatVerifierKey(log.origin, key.publicKey)}`;
}

function isJson(command: Command): boolean {
  return command.optsWithGlobals<GlobalOptions>().json === true;
}
