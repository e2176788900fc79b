// Writes docs/configuration.md from the schema that the settings are read with; `--check` only compares.

import { readFileSync, writeFileSync } from 'node:fs';
import { formatEther, formatUnits } from 'ethers';
import type { z } from 'zod';
import { archiveVariables } from '../src/config/archive.ts';
import { authorityVariables } from '../src/config/authorities.ts';
import { otsVariables } from '../src/config/calendars.ts';
import { operationVariables } from '../src/config/operation.ts';
import { ownAuthorityVariables } from '../src/config/own-authority.ts';
import { ownCalendarVariables } from '../src/config/own-calendar.ts';
import { evmVariables } from '../src/config/targets.ts';
import { witnessVariables } from '../src/config/witnesses.ts';
import { environment } from '../src/config.ts';

const FILE = new URL('../docs/configuration.md', import.meta.url);

/** What is in none of the groups stands under the first heading. */
const GROUPS: readonly (readonly [heading: string, variables: object])[] = [
  ['The service', {}],
  ['Anchoring to EVM chains', evmVariables],
  ['Anchoring to Bitcoin (OpenTimestamps)', otsVariables],
  ['Timestamp authorities (RFC 3161)', authorityVariables],
  ['Being a calendar', ownCalendarVariables],
  ['Being a timestamp authority', ownAuthorityVariables],
  ['Witnesses', witnessVariables],
  ['Archive', archiveVariables],
  ['Operation', operationVariables],
];

export interface Setting {
  readonly name: string;
  readonly required: boolean;
  /** As it would be written; null: none. */
  readonly fallback: string | null;
  readonly form: string;
  /** Null: the schema does not say. */
  readonly description: string | null;
}

type Schema = z.core.$ZodType & Pick<z.ZodType, 'safeParse' | 'description'>;

/** All settings, in the order of the schema. */
export function settings(): Setting[] {
  return Object.entries(environment.shape).map(([name, schema]) => {
    const unset = schema.safeParse(undefined);
    const form = formOf(name, schema);
    return {
      name,
      required: !unset.success,
      fallback: unset.success ? written(unset.data, form) : null,
      form,
      description: schema.description ?? null,
    };
  });
}

/** What is said of text that nothing would take; where that is taken too, any text is. */
function formOf(name: string, schema: Schema): string {
  const message = schema.safeParse('\u0001').error?.issues[0]?.message;
  if (message === undefined) return name.endsWith('_FILE') ? 'a file' : 'text';
  // How durations are written stands above the tables.
  return message.replace(/^not /, '').replace(/^a duration:.*/, 'a duration');
}

function written(value: unknown, form: string): string | null {
  if (value === null && form.endsWith(' or off')) return 'off';
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.length === 0 ? null : value.join(',');
  if (typeof value === 'number' && form === 'a duration') return durationText(value);
  if (typeof value === 'number' && form.startsWith('an age')) return `${value / 86_400_000}d`;
  if (typeof value === 'bigint')
    return (form.includes('gwei') ? formatUnits(value, 'gwei') : formatEther(value)).replace(/\.0$/, '');
  return String(value);
}

function durationText(ms: number): string {
  if (ms === 0) return '0s';
  const [unit, size] = (
    [
      ['h', 3_600_000],
      ['m', 60_000],
      ['s', 1_000],
    ] as const
  ).find(([, each]) => ms % each === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/** The document as the schema has it. */
export function configurationText(): string {
  const all = settings();
  const grouped = new Set(GROUPS.flatMap(([, variables]) => Object.keys(variables)));
  const sections = GROUPS.map(([heading, variables], i) => {
    const own = all.filter(({ name }) => (i === 0 ? !grouped.has(name) : Object.hasOwn(variables, name)));
    return `## ${heading}\n\n| variable | default | form | |\n|---|---|---|---|\n${own.map(row).join('\n')}\n`;
  });
  return `# Configuration

\`antequem serve\` takes its settings from environment variables. If settings are invalid, it reports all faults together and
does not start. An empty variable counts as not set. A variable that looks like a mistyped setting (\`EVM_RPC_URL\`) is named at
start. Durations are written \`500ms\`, \`30s\`, \`10m\`, \`24h\`. Secrets are read from files, without the white space around
them, those of object stores from the variables that the AWS tools read; a secret that other users of the machine can read is named at start. Local mode (\`npm start\`) makes its own settings and
reads \`LOG_LEVEL\`, \`REDIS_URL\`, \`DATABASE_URL\`, \`DATA_DIR\` and \`PORT\`. This page is made from the schema:
\`node scripts/configuration.ts\`.

${sections.join('\n')}`;
}

function row({ name, required, fallback, form, description }: Setting): string {
  const standard = required ? '**required**' : fallback === null ? '' : `\`${fallback}\``;
  return `| \`${name}\` | ${standard} | ${form.replaceAll('|', '\\|')} | ${(description ?? '').replaceAll('|', '\\|')} |`;
}

if (import.meta.main) {
  const bare = settings().filter(({ description }) => description === null);
  for (const { name } of bare) console.error(`${name} has no description: end its schema with .describe('…')`);
  const stale = committed() !== configurationText();
  if (!process.argv.includes('--check')) writeFileSync(FILE, configurationText());
  else if (stale) console.error('docs/configuration.md is not what the code says: node scripts/configuration.ts');
  process.exitCode = bare.length > 0 || (stale && process.argv.includes('--check')) ? 1 : 0;
}

function committed(): string {
  try {
    return readFileSync(FILE, 'utf8');
  } catch {
    return '';
  }
}
