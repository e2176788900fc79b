import { Command } from 'commander';
import type { AccountReport, CalendarReport, TargetReport } from '../../anchor/report.ts';
import { AntequemError } from '../../core/errors.ts';
import { formatTime } from '../../core/time.ts';
import { SET_BACK } from '../../log/rollback.ts';
import type { Database } from '../../store/database.ts';
import { counted, note, print, printJson, toned } from '../output.ts';
import { type GlobalOptions, localEndpoint } from '../session.ts';

/** `antequem anchors`: where targets stand, and letting one that stopped go on; by way of the database. */
export function anchorsCommand(): Command {
  return new Command('anchors')
    .action(list)
    .addCommand(new Command('list').description('all targets, with what they have yet to do').action(list))
    .addCommand(
      new Command('resume')
        .description('let a target go on that stopped, once it is known why')
        .argument('<target>', 'the name that `antequem anchors` shows')
        .action(resume),
    )
    .addHelpText(
      'after',
      `
A target stops where going on by itself could spend money twice: somebody else uses its account, a transaction
came to nothing, the chain is another one. Resumed, it goes on behind foreign transactions once they are final.

Examples:
  $ antequem anchors
  $ antequem anchors resume evm-1`,
    );
}

async function list(_: object, command: Command): Promise<void> {
  const { reportTargets } = await import('../../anchor/report.ts');
  const targets = await withDatabase((database) => reportTargets(database, Date.now()));
  if (isJson(command)) return printJson(targets.map(view));
  if (targets.length === 0) note('no target is known yet: a worker with a chain to anchor to makes it so');
  const { formatEther } = await import('ethers');
  for (const target of targets) for (const line of linesOf(target, formatEther)) print(line);
}

async function resume(name: string, _: object, command: Command): Promise<void> {
  const { resumeTarget } = await import('../../evm/alarm.ts');
  const { code, reason } = await withDatabase((database) => resumeTarget(database, name, Date.now()));
  if (isJson(command)) return printJson({ target: name, resumed: true, was: { code, reason } });
  print(`${name} goes on; it was stopped for ${code}: ${reason}`);
}

async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
  const url = process.env.DATABASE_URL || localEndpoint('databaseUrl');
  if (url === undefined) {
    throw new AntequemError('database-unknown', 'DATABASE_URL must be set, or local mode run in this folder');
  }
  const { openDatabase } = await import('../../store/database.ts');
  const database = openDatabase(url, { connections: 2 });
  try {
    return await work(database);
  } finally {
    await database.end();
  }
}

function linesOf(target: TargetReport, amount: (wei: bigint) => string): string[] {
  const { name, chain, contract, mode, stopped, anchors, oldest, problems, reorganisations, accounts, calendars } =
    target;
  const state = stopped === null ? toned('good', 'running') : toned('bad', `STOPPED (${stopped.code})`);
  const waits = oldest === null ? '' : `; oldest open: round ${oldest.round}, closed ${formatTime(oldest.closedAt)}`;
  const moved =
    reorganisations === 0 ? '' : `; ${counted(reorganisations, 'reorganisation', 'reorganisations')} so far`;
  const counts = Object.entries(anchors).map(([status, count]) => `${count.toLocaleString('en')} ${status}`);
  return [
    `${name}  ${chain}  ${contract === null ? 'by calendars' : `${mode} at ${contract}`}  ${state}`,
    ...(stopped === null
      ? []
      : [`  since     ${formatTime(stopped.at)}: ${stopped.reason}`, `  then      ${remedyOf(stopped.code, name)}`]),
    `  rounds    ${counts.join(', ')}${waits}${moved}`,
    ...accounts.map((account) => `  account   ${accountLine(account, amount)}`),
    ...calendars.map((calendar) => `  calendar  ${calendarLine(calendar)}`),
    ...problems.map(({ says, rounds }) => `  problem   ${counted(rounds, 'round', 'rounds')}: ${says}`),
  ];
}

function remedyOf(code: string, target: string): string {
  return code === SET_BACK ? 'antequem recover' : `antequem anchors resume ${target}`;
}

function calendarLine({ calendar, submissions, upgrades, problem }: CalendarReport): string {
  const waits = [
    ...(submissions === 0 ? [] : [`has not answered for ${counted(submissions, 'round', 'rounds')}`]),
    ...(upgrades === 0 ? [] : [`has yet to complete ${counted(upgrades, 'proof', 'proofs')}`]),
  ].join(', ');
  return `${calendar} ${waits}${problem === null ? '' : `: ${problem}`}`;
}

function accountLine({ address, balance, spent }: AccountReport, amount: (wei: bigint) => string): string {
  const low = balance?.low === true ? ` ${toned('bad', '(low: send it more)')}` : '';
  const holds = balance === null ? 'not looked at yet' : `holds ${amount(balance.wei)}${low}`;
  return `${address} ${holds}; ${amount(spent)} spent or promised in 24 hours`;
}

/** Times as people write them, wei as text: JSON numbers would lose them. */
function view({ stopped, oldest, accounts, ...target }: TargetReport): object {
  return {
    ...target,
    stopped: stopped === null ? null : { ...stopped, at: formatTime(stopped.at) },
    oldest: oldest === null ? null : { round: oldest.round, closedAt: formatTime(oldest.closedAt) },
    accounts: accounts.map(({ address, balance, spent }) => ({
      address,
      balance: balance === null ? null : { wei: `${balance.wei}`, low: balance.low, at: formatTime(balance.at) },
      spentIn24Hours: `${spent}`,
    })),
  };
}

function isJson(command: Command): boolean {
  return command.optsWithGlobals<GlobalOptions>().json === true;
}
