import { Command, Option } from 'commander';
import { z } from 'zod';
import { parseTime } from '../../core/time.ts';
import { DELIVERY_STATUSES, EVENT_TYPES } from '../../webhooks/event.ts';
import { wholeNumberArgument } from '../options.ts';
import { counted, note, print, printJson, toned } from '../output.ts';
import { openSession } from '../session.ts';

const webhook = z.object({
  id: z.string(),
  url: z.string(),
  description: z.string(),
  events: z.array(z.string()),
  disabledAt: z.string().nullable(),
  pausedUntil: z.string().nullable(),
  deliveries: z.object({ pending: z.number(), delivered: z.number(), dead: z.number() }),
  problem: z.string().nullable(),
});
const created = webhook.extend({ secret: z.string() });
const list = z.object({ webhooks: z.array(webhook) });
const deliveries = z.object({
  deliveries: z.array(
    z.object({
      event: z.number(),
      id: z.string(),
      type: z.string(),
      at: z.string(),
      status: z.string(),
      attempts: z.number(),
      dueAt: z.string().nullable(),
      answered: z.number().nullable(),
      problem: z.string().nullable(),
    }),
  ),
  next: z.number().optional(),
});
const replayed = z.object({ replayed: z.number() });
const deleted = z.object({ id: z.string(), deleted: z.literal(true) });

/** `antequem webhooks`: manages the receivers of events and shows their deliveries; needs a key with the scope admin. */
export function webhooksCommand(): Command {
  return new Command('webhooks')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(deleteCommand())
    .addCommand(deliveriesCommand())
    .addCommand(replayCommand())
    .addHelpText(
      'after',
      `
Messages follow Standard Webhooks, so any of its libraries checks them; docs/webhooks.md.

Examples:
  $ antequem webhooks create https://hooks.example.org/antequem
  $ antequem webhooks create https://hooks.example.org/alarms --event anchor.stopped --event anchor.reorganised
  $ antequem webhooks deliveries wh_0123456789abcdef --status dead
  $ antequem webhooks replay wh_0123456789abcdef --since 2026-01-01T00:00:00.000Z`,
    );
}

function createCommand(): Command {
  return new Command('create')
    .description('create a webhook; its secret is printed once')
    .argument('<url>', 'the receiver: https://, at a public address')
    .addOption(new Option('--event <type...>', 'the events to send (default: all)').choices(EVENT_TYPES))
    .option('--description <text>', 'what it is for')
    .action(async (url: string, options: { event?: string[]; description?: string }, command: Command) => {
      const { client, json } = openSession(command);
      const { event: events, description } = options;
      const made = await client.call(created, 'POST', '/v1/webhooks', { url, events, description });
      if (json) return printJson(made);
      note(`webhook ${made.id} to ${made.url}: ${made.events.join(', ')}`);
      note('This is its secret. It cannot be shown again:');
      print(made.secret);
    });
}

function listCommand(): Command {
  return new Command('list')
    .description('list all webhooks and their state')
    .action(async (_: object, command: Command) => {
      const { client, json } = openSession(command);
      const { webhooks } = await client.call(list, 'GET', '/v1/webhooks');
      if (json) return printJson(webhooks);
      if (webhooks.length === 0) note('there is no webhook; antequem webhooks create URL makes one');
      for (const one of webhooks) {
        const { pending, delivered, dead } = one.deliveries;
        const counts = `${pending} pending, ${delivered} delivered, ${dead === 0 ? '0 dead' : toned('bad', `${dead} dead`)}`;
        print(`${one.id}  ${one.url}  ${stateOf(one)}`);
        print(`  ${one.events.join(', ')}${one.description === '' ? '' : `  (${one.description})`}`);
        print(`  ${counts}${one.problem === null ? '' : `; ${one.problem}`}`);
      }
    });
}

function stateOf({ disabledAt, pausedUntil }: z.output<typeof webhook>): string {
  if (disabledAt !== null) return toned('bad', `disabled ${disabledAt}: the receiver is gone`);
  return pausedUntil === null ? toned('good', 'active') : toned('open', `unreachable, next attempt ${pausedUntil}`);
}

function deleteCommand(): Command {
  return new Command('delete')
    .description('delete a webhook and its pending deliveries')
    .argument('<id>', 'the id that `webhooks list` shows')
    .action(async (id: string, _: object, command: Command) => {
      const { client, json } = openSession(command);
      const answer = await client.call(deleted, 'DELETE', pathOf(id));
      if (json) return printJson(answer);
      print(`deleted ${id}`);
    });
}

interface DeliveriesOptions {
  readonly status?: string;
  readonly limit: number;
  readonly before?: number;
}

function deliveriesCommand(): Command {
  return new Command('deliveries')
    .description('list the deliveries of a webhook and their outcome, newest first')
    .argument('<id>', 'the id that `webhooks list` shows')
    .addOption(new Option('--status <status>', 'only these').choices(DELIVERY_STATUSES))
    .option('--limit <count>', 'so many', wholeNumberArgument(1, 1_000), 50)
    .option('--before <event>', 'show deliveries older than this one', wholeNumberArgument(0, Number.MAX_SAFE_INTEGER))
    .action(async (id: string, { status, limit, before }: DeliveriesOptions, command: Command) => {
      const { client, json } = openSession(command);
      const query = new URLSearchParams({
        limit: String(limit),
        ...(status === undefined ? {} : { status }),
        ...(before === undefined ? {} : { before: String(before) }),
      });
      const page = await client.call(deliveries, 'GET', `${pathOf(id)}/deliveries?${query}`);
      if (json) return printJson(page);
      for (const one of page.deliveries) {
        const tries = counted(one.attempts, 'attempt', 'attempts');
        const next = one.dueAt === null ? '' : `, next ${one.dueAt}`;
        print(`${one.id}  ${one.type.padEnd(18)}  ${one.at}  ${one.status}, ${tries}${next}`);
        if (one.problem !== null) print(`  ${one.problem}`);
      }
      if (page.next !== undefined) note(`there are more: --before ${page.next}`);
    });
}

interface ReplayOptions {
  readonly delivery?: string;
  readonly since?: string;
}

function replayCommand(): Command {
  return new Command('replay')
    .description('deliver again: everything that was given up, or what the options select')
    .argument('<id>', 'the id that `webhooks list` shows')
    .addOption(new Option('--delivery <message>', 'this one: msg_…').conflicts('since'))
    .addOption(new Option('--since <time>', 'all events since this time: YYYY-MM-DDTHH:MM:SS.sssZ').argParser(timeText))
    .action(async (id: string, { delivery, since }: ReplayOptions, command: Command) => {
      const { client, json } = openSession(command);
      const what = delivery === undefined ? (since === undefined ? { status: 'dead' } : { since }) : { delivery };
      const answer = await client.call(replayed, 'POST', `${pathOf(id)}/replay`, what);
      if (json) return printJson(answer);
      print(`${counted(answer.replayed, 'delivery', 'deliveries')} due again`);
    });
}

function timeText(text: string): string {
  parseTime(text);
  return text;
}

function pathOf(id: string): string {
  return `/v1/webhooks/${encodeURIComponent(id)}`;
}
