// What an operator should know about clocks although requests succeed.

import { CALENDARS, type ClockReport, showsClocksBehind } from '../clock/reports.ts';
import { MAX_CLOCK_SKEW_MS } from '../core/time.ts';

/** Clocks and times as the database tells them. Milliseconds; since the Unix epoch unless said otherwise. */
export interface ClockState {
  readonly clocks: readonly ClockReport[];
  /** The newest time that an entry or a round bears; null: there is none. */
  readonly newestTime: number | null;
  /** By the database. */
  readonly databaseTime: number;
}

/** Milliseconds that the newest time of an entry or a round lies in the future by the database's clock; negative: it does not. */
export function timesAhead({ newestTime, databaseTime }: ClockState): number | null {
  return newestTime === null ? null : newestTime - databaseTime;
}

/** In a word: `ok`, or what is the matter. */
export function clockState(state: ClockState | null): string {
  if (state === null) return 'unknown';
  const chains = state.clocks.filter((report) => report.kind === 'chain');
  const processes = state.clocks.filter((report) => report.kind === 'process');
  if (processes.some(({ ahead }) => Math.abs(ahead) > MAX_CLOCK_SKEW_MS)) return 'a process is skewed';
  if (chains.some(showsClocksBehind)) return 'behind';
  if ((timesAhead(state) ?? 0) > MAX_CLOCK_SKEW_MS) return 'was ahead';
  return processes.some(({ held, jumped }) => held || jumped !== null) ? 'jumped' : 'ok';
}

/** Without names of hosts: this is told without a key. */
export function clockNotices(state: ClockState): string[] {
  const ahead = timesAhead(state) ?? 0;
  return [
    ...state.clocks.flatMap(noticesOn),
    ...(ahead <= MAX_CLOCK_SKEW_MS
      ? []
      : [
          `the newest entries or rounds bear a time ${seconds(ahead)} in the future: a clock was ahead. New ones of the ` +
            'same logs bear that time, too, until it has come, because times never decrease',
        ]),
  ];
}

function noticesOn(report: ClockReport): string[] {
  const { ahead } = report;
  if (report.kind === 'chain') {
    return showsClocksBehind(report)
      ? [
          report.chain === CALENDARS
            ? `calendars are ${seconds(ahead)} ahead of our clocks: look whether service and database are behind`
            : `the newest final block of ${report.chain} is ${seconds(ahead)} ahead of our clocks: look whether service and ` +
              'database are behind, or its node is wrong',
        ]
      : [];
  }
  return [
    ...(Math.abs(ahead) > MAX_CLOCK_SKEW_MS
      ? [
          `the clock of a process is ${seconds(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'} that of the database: ` +
            'it appends nothing, closes no rounds and schedules nothing',
        ]
      : []),
    ...(report.held
      ? ['the clock of a process jumped ahead: until it has stayed there for a minute, times go on as if it had not']
      : []),
    ...(report.jumped === null
      ? []
      : [
          `the clock of a process jumped ${report.jumped > 0 ? 'ahead' : 'back'} by ${seconds(Math.abs(report.jumped))} ` +
            'within the last ten minutes',
        ]),
  ];
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
