import { Command } from 'commander';
import type { TargetReport } from '../../anchor/report.ts';
import { formatTime } from '../../core/time.ts';
import { SET_BACK } from '../../log/rollback.ts';
import { withDatabase } from '../database.ts';
import { counted, note, print, printJson, toned } from '../output.ts';
import type { GlobalOptions } from '../session.ts';

/** The exit code while a target waits for the operator. */
const STOPPED = 1;

/** `antequem anchors`: shows the targets and lets a stopped one continue, working on the database. */
export function anchorsCommand(): Command {
  return new Command('anchors')
    .action(list)
    .addCommand(new Command('list').description('list all targets and their open work').action(list))
    .addCommand(
      new Command('resume')
        .description('let a stopped target continue; first find out why it stopped')
        .argument('<target>', 'the name that `antequem anchors` shows')
        .action(resume),
    )
    .addHelpText(
      'after',
      `
A target stops when continuing could spend money twice: its account sent transactions that the service did not make,
a transaction had no effect, or the node is of another chain. After \`resume\` it waits until foreign transactions are
final, then continues. The exit code is 1 while a target is stopped.

Examples:
  $ antequem anchors
  $ antequem anchors resume evm-1`,
    );
}

async function list(_: object, command: Command): Promise<void> {
  const [{ reportTargets }, { KINDS }] = await Promise.all([
    import('../../anchor/report.ts'),
    import('../../kinds.ts'),
  ]);
  const targets = await withDatabase((database) => reportTargets(KINDS, database, Date.now()));
  if (targets.some(({ stopped }) => stopped !== null)) process.exitCode = STOPPED;
  if (isJson(command)) return printJson(targets.map(view));
  if (targets.length === 0) note('there is no target yet: the worker adds the configured ones when it starts');
  for (const target of targets) for (const line of linesOf(target)) print(line);
}

async function resume(name: string, _: object, command: Command): Promise<void> {
  const [{ resumeTarget }, { KINDS }] = await Promise.all([import('../../anchor/resume.ts'), import('../../kinds.ts')]);
  const { code, reason } = await withDatabase((database) => resumeTarget(KINDS, database, name, Date.now()));
  if (isJson(command)) return printJson({ target: name, resumed: true, was: { code, reason } });
  print(`${name} continues; it had stopped because of ${code}: ${reason}`);
}

function linesOf({ name, chain, stopped, anchors, oldest, problems, reorganisations, more }: TargetReport): string[] {
  const state = stopped === null ? toned('good', 'running') : toned('bad', `STOPPED (${stopped.code})`);
  const waits = oldest === null ? '' : `; oldest open: round ${oldest.round}, closed ${formatTime(oldest.closedAt)}`;
  const moved =
    reorganisations === 0 ? '' : `; ${counted(reorganisations, 'reorganisation', 'reorganisations')} so far`;
  const counts = Object.entries(anchors).map(([status, count]) => `${count.toLocaleString('en')} ${status}`);
  const line = (label: string, says: string): string => `  ${label.padEnd(9)} ${says}`;
  return [
    `${name}  ${chain}  ${more.where}  ${state}`,
    ...(stopped === null
      ? []
      : [line('since', `${formatTime(stopped.at)}: ${stopped.reason}`), line('then', remedyOf(stopped.code, name))]),
    line('rounds', `${counts.join(', ')}${waits}${moved}`),
    ...more.lines.map(({ label, says, alarm }) =>
      line(label, alarm === null ? says : `${says} ${toned('bad', `(${alarm})`)}`),
    ),
    ...problems.map(({ says, rounds }) => line('problem', `${counted(rounds, 'round', 'rounds')}: ${says}`)),
  ];
}

function remedyOf(code: string, target: string): string {
  return code === SET_BACK ? 'antequem recover' : `antequem anchors resume ${target}`;
}

/** Formats times as text and adds the kind's own members. */
function view({ stopped, oldest, more, ...target }: TargetReport): object {
  return {
    ...target,
    ...more.facts,
    stopped: stopped === null ? null : { ...stopped, at: formatTime(stopped.at) },
    oldest: oldest === null ? null : { round: oldest.round, closedAt: formatTime(oldest.closedAt) },
  };
}

function isJson(command: Command): boolean {
  return command.optsWithGlobals<GlobalOptions>().json === true;
}
