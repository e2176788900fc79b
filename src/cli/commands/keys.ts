import { Command, Option } from 'commander';
import type { ApiKey, Scope } from '../../access/keys.ts';
import { AntequemError } from '../../core/errors.ts';
import { formatTime } from '../../core/time.ts';
import type { Registry } from '../../log/registry.ts';
import type { Foundation } from '../../start/foundation.ts';
import { logName, repeated } from '../options.ts';
import { note, print, printJson } from '../output.ts';
import type { GlobalOptions } from '../session.ts';

/** Repeated here because importing the list would load the database client. The compiler checks that it is complete. */
const SCOPES = { append: true, read: true, admin: true } satisfies Record<Scope, true>;

/** `antequem keys`: manages API keys in the database, since creating the first one through the API would need a key. */
export function keysCommand(): Command {
  return new Command('keys')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(revokeCommand())
    .addHelpText(
      'after',
      `
Examples:
  $ antequem keys create --name ops --scope admin
  $ antequem keys create --name web --scope append --log payments --log logins
  $ antequem keys list
  $ antequem keys revoke 0123456789abcdef`,
    );
}

interface CreateOptions {
  readonly name: string;
  readonly scope: Scope[];
  readonly log?: string[];
}

function createCommand(): Command {
  return new Command('create')
    .description('create a key; its token is printed once and not stored')
    .requiredOption('--name <name>', 'what it is for')
    .addOption(
      new Option('--scope <scope...>', 'what it permits; admin permits all')
        .choices(Object.keys(SCOPES))
        .makeOptionMandatory(),
    )
    .option('--log <name>', 'a log the key is limited to; may be repeated (default: all logs)', repeated(logName))
    .action(async (options: CreateOptions, command: Command) => {
      const { key, token, missing } = await withFoundation(async ({ keys, registry }) => ({
        ...(await keys.create(options.name, options.scope, options.log ?? null)),
        missing: await missingLogs(registry, options.log ?? []),
      }));
      for (const log of missing) note(`there is no log ${log} yet: antequem logs create ${log} makes it`);
      if (isJson(command)) return printJson({ ...view(key), token });
      note(`key ${key.id} (${key.name}): ${key.scopes.join(', ')} on ${key.logs?.join(', ') ?? 'all logs'}`);
      note('This is its token. It cannot be shown again:');
      print(token);
    });
}

function listCommand(): Command {
  return new Command('list')
    .description('list all keys, including revoked ones')
    .action(async (_: object, command: Command) => {
      const list = await withFoundation(({ keys }) => keys.list());
      if (isJson(command)) return printJson(list.map(view));
      for (const key of list) {
        const state = key.revokedAt === null ? 'active' : `revoked ${formatTime(key.revokedAt)}`;
        print(`${key.id}  ${key.scopes.join(',').padEnd(17)}  ${key.logs?.join(',') ?? '*'}  ${key.name}  ${state}`);
      }
    });
}

function revokeCommand(): Command {
  return new Command('revoke')
    .description('revoke a key; running services notice within five seconds')
    .argument('<id>', 'the id that `keys list` shows')
    .action(async (id: string, _: object, command: Command) => {
      if (!(await withFoundation(({ keys }) => keys.revoke(id)))) {
        throw new AntequemError(
          'key-not-found',
          `there is no active key ${JSON.stringify(id)}: see antequem keys list`,
        );
      }
      if (isJson(command)) printJson({ id, revoked: true });
      else print(`revoked ${id}`);
    });
}

async function missingLogs(registry: Registry, names: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const name of names) if ((await registry.find(name)) === null) missing.push(name);
  return missing;
}

async function withFoundation<T>(work: (foundation: Foundation) => Promise<T>): Promise<T> {
  const [{ readConfig }, { openFoundation, realEffects }] = await Promise.all([
    import('../../config.ts'),
    import('../../start/foundation.ts'),
  ]);
  const foundation = await openFoundation(readConfig(process.env), realEffects);
  try {
    return await work(foundation);
  } finally {
    await foundation.close();
  }
}

function view(key: ApiKey): object {
  return {
    ...key,
    createdAt: formatTime(key.createdAt),
    revokedAt: key.revokedAt === null ? null : formatTime(key.revokedAt),
  };
}

function isJson(command: Command): boolean {
  return command.optsWithGlobals<GlobalOptions>().json === true;
}
