import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { aheadOfDatabase, askAheadOfDatabase, ServiceClock } from '../../src/clock/clock.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const BEGIN = Date.UTC(2026, 0, 1);

/** A machine whose clocks a test moves. */
function machine(): { clock: ServiceClock; pass: (ms: number) => void; set: (by: number) => void; wall: () => number } {
  let monotonic = 5_000;
  let offset = BEGIN - monotonic;
  const clock = new ServiceClock({ wall: () => monotonic + offset, monotonic: () => monotonic });
  return {
    clock,
    pass: (ms) => {
      monotonic += ms;
    },
    set: (by) => {
      offset += by;
    },
    wall: () => monotonic + offset,
  };
}

describe('the time that the service stamps', () => {
  test('is the wall clock, however it is slewed', () => {
    const { clock, pass, set, wall } = machine();
    for (let i = 0; i < 1_000; i++) {
      pass(1_000);
      set(i % 3 === 0 ? 400 : -150);
      expect(clock.now()).toBe(wall());
    }
    expect([clock.jumps, clock.held, clock.lastJump]).toEqual([0, false, null]);
  });

  test('goes on by the monotonic clock over a jump ahead and back', () => {
    const { clock, pass, set, wall } = machine();
    set(2 * DAY);
    for (let i = 0; i < 50; i++) {
      expect(clock.now()).toBe(BEGIN + i * 1_000);
      pass(1_000);
    }
    expect([clock.held, clock.jumps, clock.lastJump]).toEqual([true, 1, { by: 2 * DAY, ago: 50_000 }]);
    set(-2 * DAY);
    expect(clock.now()).toBe(wall());
    expect([clock.held, clock.jumps]).toEqual([false, 2]);
  });

  test('follows a jump ahead once the wall clock has stayed there for a minute', () => {
    const { clock, pass, set, wall } = machine();
    set(2 * DAY);
    expect(clock.now()).toBe(BEGIN);
    pass(30_000);
    // Another jump: the minute begins anew.
    set(DAY);
    expect(clock.now()).toBe(BEGIN + 30_000);
    pass(59_000);
    expect(clock.now()).toBe(BEGIN + 89_000);
    pass(1_000);
    expect(clock.now()).toBe(wall());
    expect([clock.held, clock.jumps]).toEqual([false, 2]);
  });

  test.each([-DAY, -MINUTE, -3_000, 3_000, MINUTE])('follows a jump of %i ms at once, and tells it', (by) => {
    const { clock, set, wall } = machine();
    set(by);
    expect(clock.now()).toBe(wall());
    expect([clock.held, clock.lastJump?.by]).toEqual([false, by]);
  });

  test('is never more than a minute and what has passed since ahead of all wall clocks that lasted', () => {
    const step = fc.record({
      pass: fc.integer({ min: 0, max: 90_000 }),
      set: fc.integer({ min: -3 * DAY, max: 3 * DAY }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { clock, pass, set, wall } = machine();
        let last = clock.now();
        for (const { pass: ms, set: by } of steps) {
          set(by);
          // Whatever the jump, nothing of it shows at once but a minute.
          expect(clock.now() - last).toBeLessThanOrEqual(MINUTE);
          pass(ms);
          last = clock.now();
          if (!clock.held) expect(last).toBe(wall());
        }
      }),
    );
  });
});

describe('how far the service is ahead of the database', () => {
  test('is told by the reading that agrees, after a jump that both or neither made', () => {
    expect(aheadOfDatabase({ now: () => 1_000 }, 400)).toBe(600);
    expect(aheadOfDatabase({ now: () => 1_000, wall: () => DAY }, DAY + 5)).toBe(-5);
    expect(aheadOfDatabase({ now: () => 1_000, wall: () => DAY }, 990)).toBe(10);
    expect(aheadOfDatabase({ now: () => 1_000, wall: () => DAY }, DAY / 2)).toBe(1_000 - DAY / 2);
  });

  test('does not count the time that the answer took', async () => {
    let now = 1_000_000;
    const answerAfter = (ms: number, database: number) =>
      askAheadOfDatabase({ now: () => now }, async () => {
        now += ms;
        return database;
      });
    expect(await answerAfter(90_000, 1_050_000)).toBe(0);
    expect(await answerAfter(90_000, now - 70_000)).toBe(70_000);
    expect(await answerAfter(90_000, now + 170_000)).toBe(-80_000);
  });
});
