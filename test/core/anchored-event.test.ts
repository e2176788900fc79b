import { describe, expect, test } from 'vitest';
import { ANCHORED_TOPIC, decodeAnchoredLog, isAnchored } from '../../src/core/anchored-event.ts';
import { fromHex } from '../../src/core/bytes.ts';

const root = 'ab'.repeat(32);
const account = 'cd'.repeat(20);
const contract = `0x${'11'.repeat(20)}`;
const sender = `0x${'0'.repeat(24)}${account}`;
const log = { address: contract, topics: [ANCHORED_TOPIC, sender, `0x${root}`], data: '0x' };

/** Logs that are not an `Anchored` in its one form. */
const OTHERS = [
  ['with data', { ...log, data: '0x00' }],
  ['of another event', { ...log, topics: [`0x${root}`, sender, `0x${root}`] }],
  ['without a root', { ...log, topics: [ANCHORED_TOPIC, sender] }],
  ['without topics', { ...log, topics: [] }],
  ['with a further topic', { ...log, topics: [...log.topics, sender] }],
] as const;

describe('an Anchored event', () => {
  test('says who anchored what', () => {
    const event = { sender: `0x${account}`, root: fromHex(root) };
    expect(decodeAnchoredLog(log)).toEqual(event);
    expect(
      decodeAnchoredLog({ ...log, topics: log.topics.map((topic) => topic.toUpperCase().replace('X', 'x')) }),
    ).toEqual(event);
  });

  test('anchors its root alone, and by its contract alone', () => {
    expect(isAnchored(log, contract, root)).toBe(true);
    expect(isAnchored({ ...log, address: contract.toUpperCase().replace('X', 'x') }, contract, root)).toBe(true);
    expect(isAnchored(log, `0x${'22'.repeat(20)}`, root)).toBe(false);
    expect(isAnchored(log, contract, 'ac'.repeat(32))).toBe(false);
  });

  test.each(OTHERS)('a log %s is none', (_, other) => {
    expect(decodeAnchoredLog(other)).toBeNull();
    expect(isAnchored(other, contract, root)).toBe(false);
  });

  test.each([`0x1${'0'.repeat(23)}${account}`, `0x${account}`, `${sender}00`, ''])('%s is no sender', (topic) => {
    expect(decodeAnchoredLog({ ...log, topics: [ANCHORED_TOPIC, topic, `0x${root}`] })).toBeNull();
  });

  test.each([`0x${root}00`, `0x${root.slice(2)}`, root, ''])('%s is no root', (topic) => {
    expect(decodeAnchoredLog({ ...log, topics: [ANCHORED_TOPIC, sender, topic] })).toBeNull();
  });
});
