import { Argument, Command, Option } from 'commander';
import { z } from 'zod';
import { AntequemError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { isApiName, SCHEME_CHOICES } from '../../sources/scheme-names.ts';
import { readAtMost } from '../bounded-file.ts';
import { logName, wholeNumberArgument } from '../options.ts';
import { note, print, printJson, toned } from '../output.ts';
import { openSession } from '../session.ts';

const source = z.object({
  id: z.string(),
  name: z.string(),
  scheme: z.string(),
  settings: z.looseObject({}),
  log: z.string(),
  path: z.string(),
  createdAt: z.string(),
  receivedAt: z.string().nullable(),
  refusedAt: z.string().nullable(),
  refusal: z.string().nullable(),
  secrets: z.array(z.object({ number: z.number(), createdAt: z.string(), expiresAt: z.string().nullable() })),
});
type Listed = z.output<typeof source>;
const told = source.extend({ secret: z.string().nullable() });
const list = z.object({ sources: z.array(source) });
const setting = z.object({
  name: z.string(),
  type: z.string(),
  says: z.string(),
  required: z.boolean(),
  default: z.json(),
  values: z.array(z.string()),
});
const schemes = z.object({
  schemes: z.array(z.object({ name: z.string(), scheme: z.string(), settings: z.array(setting) })),
});
const removed = z.object({ id: z.string(), removed: z.literal(true) });

/** `antequem sources`: manages the senders whose signed webhooks are logged; needs a key with the scope admin. */
export function sourcesCommand(): Command {
  return new Command('sources')
    .addCommand(createCommand())
    .addCommand(schemesCommand())
    .addCommand(listCommand())
    .addCommand(rotateCommand())
    .addCommand(removeCommand())
    .addHelpText(
      'after',
      `
A source takes the webhooks of one sender, checks their signatures, and logs each event once. Or a worker fetches the events
from an API. docs/ingestion.md describes both.

Examples:
  $ antequem sources schemes hmac
  $ antequem sources create hoop --log sessions --scheme hoop --secret-file hoop.secret
  $ antequem sources create repository --log audit --scheme github
  $ antequem sources create billing --log audit --scheme hmac --settings '{"header":"x-signature","hash":"sha512"}'
  $ antequem sources create snyk --log audit --scheme snyk-audit --secret-file token --settings '{"group":"…"}'
  $ antequem sources rotate repository --keep 3600`,
    );
}

const settingsOption = (): Option =>
  new Option('--settings <json>', 'what differs from the defaults (antequem sources schemes)').argParser(
    settingsArgument,
  );
const secretOption = (): Option =>
  new Option(
    '--secret-file <file>',
    'file with the secret that the sender made, or with the token for an API; - for standard input (default: a secret is made)',
  );

interface CreateOptions {
  readonly log: string;
  readonly scheme: string;
  readonly settings?: object;
  readonly secretFile?: string;
}

function createCommand(): Command {
  return new Command('create')
    .description('make a source and print its address and its secret; the secret is printed only once')
    .argument('<name>', 'what it is called here')
    .addOption(new Option('--log <log>', 'the log for its events').argParser(logName).makeOptionMandatory())
    .addOption(
      new Option(
        '--scheme <scheme>',
        'a scheme, a sender, or an API to fetch from; antequem sources schemes describes them',
      )
        .choices(SCHEME_CHOICES)
        .makeOptionMandatory(),
    )
    .addOption(settingsOption())
    .addOption(secretOption())
    .action(async (name: string, { log, scheme, settings, secretFile }: CreateOptions, command: Command) => {
      const { client, json } = openSession(command);
      const secret = await secretIn(secretFile);
      const made = await client.call(told, 'POST', '/v1/sources', { name, log, scheme, settings, secret });
      if (json) return printJson(made);
      if (isApiName(made.scheme)) {
        note(`source ${made.name} (${made.scheme}) into the log ${made.log}. A worker fetches from its API.`);
        return;
      }
      note(`source ${made.name} (${made.scheme}) into the log ${made.log}. Enter this address at the sender:`);
      print(`${client.url}${made.path}`);
      tellSecret(made.secret, secretFile);
    });
}

function schemesCommand(): Command {
  return new Command('schemes')
    .description('list the schemes, senders and APIs that a source can be made with; with a name, its settings')
    .addArgument(new Argument('[name]', 'one of them').choices(SCHEME_CHOICES))
    .action(async (name: string | undefined, _: object, command: Command) => {
      const { client, json } = openSession(command);
      const { schemes: all } = await client.call(schemes, 'GET', '/v1/source-schemes');
      const chosen = all.filter((each) => name === undefined || each.name === name);
      if (json) return printJson(chosen);
      for (const { name: title, scheme, settings } of chosen) {
        if (name === undefined) print(title === scheme ? title : `${title}  ${scheme}`);
        else for (const setting of settings) print(settingLine(setting));
      }
    });
}

function settingLine({ name, type, says, required, default: value, values }: z.output<typeof setting>): string {
  const kind = values.length > 0 ? values.join(' | ') : type;
  return `${name}  ${kind}${required ? ', required' : value === null ? '' : `, default ${JSON.stringify(value)}`}. ${says}`;
}

function listCommand(): Command {
  return new Command('list')
    .description('list all sources, with the times of the last event and the last refusal')
    .action(async (_: object, command: Command) => {
      const { client, json } = openSession(command);
      const { sources } = await client.call(list, 'GET', '/v1/sources');
      if (json) return printJson(sources);
      if (sources.length === 0) note('there is no source; antequem sources create makes one');
      for (const one of sources) {
        print(`${one.name}  ${one.scheme} into ${one.log}  ${one.path}`);
        print(`  ${stateOf(one)}${secretsOf(one)}`);
      }
    });
}

function stateOf({ receivedAt, refusedAt, refusal }: Listed): string {
  const received = receivedAt === null ? toned('open', 'nothing came yet') : `last event ${receivedAt}`;
  if (refusedAt === null) return received;
  const since = receivedAt === null || refusedAt > receivedAt;
  return `${received}; ${toned(since ? 'bad' : 'open', `last refused ${refusedAt}: ${refusal}`)}`;
}

function secretsOf({ secrets }: Listed): string {
  return secrets
    .map(({ number, expiresAt }) => `; secret ${number}${expiresAt === null ? '' : ` until ${expiresAt}`}`)
    .join('');
}

interface RotateOptions {
  readonly keep: number;
  readonly settings?: object;
  readonly secretFile?: string;
}

function rotateCommand(): Command {
  return new Command('rotate')
    .description(
      'give a source another secret, or with --settings other settings; the older secrets stay valid for a while',
    )
    .argument('<source>', 'its name or id')
    .option('--keep <seconds>', 'how long the older secrets stay valid', wholeNumberArgument(0, 30 * 86_400), 86_400)
    .addOption(settingsOption())
    .addOption(secretOption())
    .action(async (name: string, { keep, settings, secretFile }: RotateOptions, command: Command) => {
      const { client, json } = openSession(command);
      const secret = await secretIn(secretFile);
      const body = { keepSeconds: keep, settings, secret };
      const changed = await client.call(told, 'POST', `${pathOf(name)}/rotate`, body);
      if (json) return printJson(changed);
      note(`source ${changed.name} was changed${secretsOf(changed)}`);
      tellSecret(changed.secret, secretFile);
    });
}

function removeCommand(): Command {
  return new Command('remove')
    .description('remove a source: requests to it are refused; what it logged stays')
    .argument('<source>', 'its name or id')
    .action(async (name: string, _: object, command: Command) => {
      const { client, json } = openSession(command);
      const answer = await client.call(removed, 'DELETE', pathOf(name));
      if (json) return printJson(answer);
      print(`removed ${name}`);
    });
}

/** A secret that was given is known; one that was made is not. */
function tellSecret(secret: string | null, secretFile: string | undefined): void {
  if (secret === null || secretFile !== undefined) return;
  note('This is its secret. It cannot be shown again:');
  print(secret);
}

/** Out of a file, so that no list of processes shows it. */
async function secretIn(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  return Buffer.from(await readAtMost(file, 4_096))
    .toString('utf8')
    .trim();
}

function settingsArgument(text: string): object {
  const settings = parseJson(text);
  if (typeof settings === 'object' && settings !== null && !Array.isArray(settings)) return settings;
  throw new AntequemError('source-invalid', `--settings is no JSON object, as '{"header":"x-signature"}' is`);
}

function pathOf(name: string): string {
  return `/v1/sources/${encodeURIComponent(name)}`;
}
