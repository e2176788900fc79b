// What a proxy that cannot sign shows, and what an audit says of it first.

import { changingBytes, changingJson, hiding, type Lie } from './liar.ts';

const HOUR = 3_600_000;
/** Bytes of an entry in its bundle. */
const ENTRY = 75;
const BUNDLE = /^logs\/demo\/tile\/entries\/001$/;

/** @param firstRound the JSON of round 1 */
export function lies(firstRound: () => string): [what: string, lie: Lie, code: string, place: object][] {
  return [
    [
      'an entry dropped from its bundle',
      changingBytes(BUNDLE, (bytes) => Buffer.concat([bytes.subarray(0, 40 * ENTRY), bytes.subarray(41 * ENTRY)])),
      'entry-altered',
      { log: 'demo', index: 296 },
    ],
    [
      'the last entry dropped from its bundle',
      changingBytes(BUNDLE, (bytes) => bytes.subarray(0, -ENTRY)),
      'entry-missing',
      { log: 'demo', index: 511 },
    ],
    ['a bundle that is not there', hiding(BUNDLE), 'entry-missing', { log: 'demo', index: 256 }],
    [
      'an entry backdated by an hour',
      changingBytes(
        BUNDLE,
        (bytes) => void bytes.writeBigUInt64BE(bytes.readBigUInt64BE(50 * ENTRY + 3) - BigInt(HOUR), 50 * ENTRY + 3),
      ),
      'entry-altered',
      { log: 'demo', index: 306 },
    ],
    [
      'an entry backdated by a millisecond',
      changingBytes(
        BUNDLE,
        (bytes) => void bytes.writeBigUInt64BE(bytes.readBigUInt64BE(44 * ENTRY + 3) - 1n, 44 * ENTRY + 3),
      ),
      'entry-altered',
      { log: 'demo', index: 300 },
    ],
    [
      'another commitment',
      changingBytes(BUNDLE, (bytes) => void bytes.writeUInt8(bytes.readUInt8(60 * ENTRY + 50) ^ 1, 60 * ENTRY + 50)),
      'entry-altered',
      { log: 'demo', index: 316 },
    ],
    [
      "two entries in each other's place",
      changingBytes(BUNDLE, (bytes) =>
        Buffer.concat([
          bytes.subarray(0, 10 * ENTRY),
          bytes.subarray(11 * ENTRY, 12 * ENTRY),
          bytes.subarray(10 * ENTRY, 11 * ENTRY),
          bytes.subarray(12 * ENTRY),
        ]),
      ),
      'entry-altered',
      { log: 'demo', index: 266 },
    ],
    [
      'no entries at all, but bytes',
      changingBytes(BUNDLE, (bytes) => bytes.fill(0xff)),
      'entry-altered',
      { index: 256 },
    ],
    [
      'the last entry of the log altered',
      changingBytes(
        /^logs\/demo\/tile\/entries\/002\.p/,
        (bytes) => void bytes.writeUInt8(bytes.at(-1)! ^ 1, bytes.length - 1),
      ),
      'entry-altered',
      { log: 'demo', index: 666 },
    ],
    [
      'a tile altered',
      changingBytes(
        /^logs\/demo\/tile\/0\/000$/,
        (bytes) => void bytes.writeUInt8(bytes.readUInt8(32 * 9) ^ 1, 32 * 9),
      ),
      'tile-differs',
      { log: 'demo', index: 9 },
    ],
    ['a tile that is not there', hiding(/^logs\/demo\/tile\/0\/001$/), 'tile-missing', { log: 'demo', index: 256 }],
    ['a round that is not there', hiding(/^v1\/audit\/rounds\/002$/), 'round-missing', { round: 2 }],
    [
      'the newest round hidden, and how many there are',
      (path, shown) =>
        hiding(/^v1\/audit\/rounds\/003$/)(
          path,
          changingJson('v1/audit/service', (json) => {
            json.rounds = 2;
          })(path, shown),
        ),
      'round-cut-off',
      { round: 3 },
    ],
    [
      'a round told of that is not recorded',
      changingJson('v1/audit/service', (json) => {
        json.rounds = 4;
      }),
      'round-unrecorded',
      { round: 4 },
    ],
    [
      'a round in the place of another',
      (path, shown) => (path === 'v1/audit/rounds/002' ? { ...shown, bytes: Buffer.from(firstRound()) } : shown),
      'round-differs',
      { round: 2 },
    ],
    [
      'a leaf of a round left out',
      changingJson('v1/audit/rounds/002', (json) => {
        json.leaves = [Object(json.leaves)[0], Object(json.leaves)[1]];
      }),
      'round-broken',
      { round: 2 },
    ],
    [
      'a round closed at another time',
      changingJson('v1/audit/rounds/002', (json) => {
        json.closedAt = '2026-01-01T00:00:00.000Z';
      }),
      'link-broken',
      { round: 2 },
    ],
    [
      'a checkpoint of a round withheld',
      changingJson('v1/audit/rounds/002', (json) => void delete Object(json.leaves)[1].checkpoint),
      'checkpoint-missing',
      { round: 2 },
    ],
    [
      'an act of _system altered',
      changingBytes(/^v1\/audit\/acts\/000/, (bytes) =>
        Buffer.from(bytes.toString().replace('"blinded":true', '"blinded":false')),
      ),
      'payload-differs',
      { log: '_system' },
    ],
    [
      'the act of a round taken out',
      changingBytes(/^v1\/audit\/acts\/000/, (bytes) => Buffer.from(bytes.toString().replace(/.*"number":2.*/, ''))),
      'act-unreadable',
      { log: '_system' },
    ],
    ['the acts not served', hiding(/^v1\/audit\/acts/), 'act-unreadable', { log: '_system', index: 0 }],
    ['a log not served', hiding(/^logs\/other\//), 'log-gone', { log: 'other' }],
    [
      'a checkpoint of more entries',
      changingBytes(/^logs\/demo\/checkpoint$/, (bytes) => Buffer.from(bytes.toString().replace('\n667\n', '\n668\n'))),
      'signature-broken',
      { log: 'demo' },
    ],
    [
      'the checkpoint of another log',
      (path, shown) => (path === 'logs/demo/checkpoint' ? { ...shown, bytes: Buffer.from('no note') } : shown),
      'checkpoint-unreadable',
      { log: 'demo' },
    ],
    [
      'an anchor in another block',
      changingJson('v1/audit/rounds/002', (json) => {
        Object(json.anchors)[0].block.hash = `0x${'ab'.repeat(32)}`;
      }),
      'anchor-differs',
      { round: 2 },
    ],
    [
      'an anchor that never took place',
      changingJson('v1/audit/rounds/002', (json) => {
        Object(json.anchors)[0].transaction = `0x${'ab'.repeat(32)}`;
      }),
      'anchor-differs',
      { round: 2 },
    ],
  ];
}
