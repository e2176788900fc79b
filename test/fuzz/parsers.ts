// Every parser that sees outside bytes, with samples of what it takes and what must hold of all it takes.

import { createHmac } from 'node:crypto';
import { parseTargets } from '../../src/config/targets.ts';
import { readConfig } from '../../src/config.ts';
import { compareBytes, fromHex, toHex, utf8 } from '../../src/core/bytes.ts';
import { CborTag, decodeCbor, encodeCbor } from '../../src/core/cbor.ts';
import { formatCheckpoint, parseCheckpoint } from '../../src/core/checkpoint.ts';
import { formatCoseKey, parseCoseKey } from '../../src/core/cose-key.ts';
import { type CoseReceipt, encodeCoseReceipt, parseCoseReceipt } from '../../src/core/cose-receipt.ts';
import { formatWitnessKey } from '../../src/core/cosignature.ts';
import { encodeOpenEntry } from '../../src/core/entry.ts';
import { readEvmReceipt, readHeader, readTransaction } from '../../src/core/evm-bytes.ts';
import { formatNote, formatVerifierKey, parseNote, parseVerifierKey } from '../../src/core/note.ts';
import { isReached, parsePolicy } from '../../src/core/policy.ts';
import { parseReceipt, parseReceiptText } from '../../src/core/receipt.ts';
import { decodeRlp, encodeRlp } from '../../src/core/rlp.ts';
import { encodeCheckpointLeaf, encodeLink, parseCheckpointLeaf, parseLink } from '../../src/core/round.ts';
import { encodeBundle, parseBundle, parseTileLocation, tileLocation } from '../../src/core/tiles.ts';
import { formatTlogProof, parseTlogProof, receiptTlogProof } from '../../src/core/tlog-proof.ts';
import { cutLines } from '../../src/log/accept.ts';
import { parseOtsFile, serializeOtsFile } from '../../src/ots/file.ts';
import { eventDrafts, readBody } from '../../src/sources/events.ts';
import { chooseScheme } from '../../src/sources/schemes.ts';
import { parseLoggedAnswer } from '../../src/tsa/logged-answer.ts';
import { BLOCK, file as otsFile, bytes as raw } from '../ots/refusal.ts';
import { real, varied } from '../ots/samples.ts';
import { anchorAmong, outcomeOf, sealBlock, transactionOf } from '../support/blocks.ts';
import { MemoryLog, provenReceipt, seeded } from '../support/receipts.ts';

export interface Parser {
  readonly name: string;
  readonly samples: readonly Uint8Array[];
  /** Takes the input or throws; throws a plain Error where it took what it should not have. */
  readonly take: (input: Uint8Array) => void;
}

const text = (input: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(input);

function demand(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

const { receipt, log, round, anchor } = provenReceipt();
const proven = { ...receipt, anchors: [anchorAmong(round.root), anchor] };
const only = new MemoryLog('only');
only.append('the only entry', { nonce: new Uint8Array(0) });
const root = seeded('root');
const cose: CoseReceipt = {
  keyId: seeded('key'),
  issuer: 'log.test',
  log: 'log.test/logs/one',
  proof: { kind: 'inclusion', treeSize: 300, index: 4, path: receipt.inclusion.path.map(fromHex) },
  signature: new Uint8Array(64).fill(9),
  entry: encodeOpenEntry(receipt.entry),
};
const POLICY = `# who is asked
log ${log.verifierKey} https://log.test
witness A ${formatWitnessKey('a.test', seeded('A'))} https://a.test/w
witness B ${formatWitnessKey('b.test', seeded('B'))}
witness C ${formatWitnessKey('c.test', seeded('C'))}
group two 2 A B
group 	all all two C
quorum all
`;
const ANSWER = {
  digest: toHex(root),
  leafHash: toHex(root),
  state: 'logged',
  certificate: toHex(root),
  round: receipt.round,
  anchors: proven.anchors,
  newestRound: { number: 7, closedAt: receipt.round.closedAt },
};
const TYPES = [0, 1, 2, 3, 4];
const block = sealBlock([transactionOf(root)], [outcomeOf(root)]);

const CONFIGURATION = [
  'DATABASE_URL=postgres:///antequem',
  'ORIGIN=log.example.org',
  'LOG_SEED_FILE=seed',
  'ROLES=api,worker',
  'HOST=127.0.0.1',
  'PORT=3963',
  'REDIS_URL=redis://127.0.0.1:6379',
  'ROUND_INTERVAL=5s',
  'ROUND_HEARTBEAT=1h',
  'EVM_RPC_URLS=https://one.test,https://two.test',
  'EVM_CHAIN_ID=1',
  'EVM_PRIVATE_KEY_FILE=key',
  'EVM_CONTRACT=0x105522Cc045f1786Fc6C0cD2Ad23aA93648B6Eb1',
  'EVM_MAX_FEE_GWEI=1.5',
  'EVM_DAILY_BUDGET=0.01',
  'LOG_LEVEL=info',
].join('\n');

const TARGETS = JSON.stringify([
  {
    name: 'main',
    chainId: 1,
    rpcUrls: ['https://one.test'],
    mode: 'anchor',
    key: { file: 'key' },
    maxFeeGwei: '20',
    dailyBudget: '1',
    lowBalance: '0.1',
    replaceAfter: '3m',
  },
  {
    name: 'second',
    chainId: 10,
    rpcUrls: ['https://a.test', 'https://b.test'],
    contract: '0x105522Cc045f1786Fc6C0cD2Ad23aA93648B6Eb1',
    mode: 'announce',
    key: { keystore: 'k.json', passwordFile: 'p' },
    confirmations: 64,
    replaceAfter: '3m',
    dailyBudget: '0.5',
    lowBalance: '0.1',
    maxFeeGwei: 0.5,
  },
]);

const SIGNED = { choice: 'stripe', body: '{"id":"evt_1","amount":12.50}', at: 1_795_953_600, secret: 'of the fuzzing' };
const MAC = createHmac('sha256', SIGNED.secret).update(`${SIGNED.at}.${SIGNED.body}`).digest('hex');

const VERIFIERS = ['auth0', 'github', 'event-grid'].map((choice) => chooseScheme(choice, {}).open());

export const PARSERS: readonly Parser[] = [
  {
    name: 'receipt',
    samples: [receipt, proven, round.receipt(log, 3, [])].map((each) => utf8(JSON.stringify(each))),
    take(input) {
      const taken = parseReceiptText(text(input));
      const again = parseReceipt(JSON.parse(JSON.stringify(taken)));
      demand(JSON.stringify(again) === JSON.stringify(taken), 'a receipt that reads differently the second time');
    },
  },
  {
    name: 'checkpoint',
    samples: [
      { origin: log.origin, size: 13, root },
      { origin: 'a', size: 0, root },
    ].map((each) => utf8(formatCheckpoint(each))),
    take(input) {
      const written = text(input);
      demand(formatCheckpoint(parseCheckpoint(written)) === written, 'a checkpoint in two spellings');
    },
  },
  {
    name: 'note',
    samples: [utf8(receipt.checkpoint)],
    take(input) {
      const written = text(input);
      demand(formatNote(parseNote(written)) === written, 'a note in two spellings');
    },
  },
  {
    name: 'verifier key',
    samples: [utf8(log.verifierKey)],
    take(input) {
      const written = text(input);
      const { name, publicKey } = parseVerifierKey(written);
      demand(formatVerifierKey(name, publicKey) === written, 'a key in two spellings');
    },
  },
  {
    name: 'tlog-proof',
    samples: [receipt, only.receipt(0)].map((each) => utf8(formatTlogProof(receiptTlogProof(each)))),
    take(input) {
      const written = text(input);
      demand(formatTlogProof(parseTlogProof(written)) === written, 'a tlog-proof in two spellings');
    },
  },
  {
    name: 'CBOR',
    samples: [
      encodeCoseReceipt(cose),
      encodeCbor(new CborTag(18, [-1, 24, 256, 65_536, 2 ** 40, 'ä', null, new Map([['a', []]])])),
    ],
    take(input) {
      demand(compareBytes(encodeCbor(decodeCbor(input)), input) === 0, 'CBOR in two spellings');
    },
  },
  {
    name: 'COSE receipt',
    samples: [
      encodeCoseReceipt(cose),
      encodeCoseReceipt({ ...cose, entry: null }),
      encodeCoseReceipt({ ...cose, proof: { kind: 'consistency', from: 3, to: 70_000, path: [root, root] } }),
    ],
    take(input) {
      demand(compareBytes(encodeCoseReceipt(parseCoseReceipt(input)), input) === 0, 'a receipt in two spellings');
    },
  },
  {
    name: 'COSE key',
    samples: [utf8(formatCoseKey(log.origin, root))],
    take(input) {
      const written = text(input);
      const key = parseCoseKey(written);
      demand(key !== 'checkpoints' && formatCoseKey(key.name, key.publicKey) === written, 'a key in two spellings');
    },
  },
  {
    name: 'answer about a token',
    samples: [utf8(JSON.stringify(ANSWER)), utf8(JSON.stringify({ ...ANSWER, state: 'not-logged', round: null }))],
    take(input) {
      const read = parseLoggedAnswer(text(input));
      demand(read.anchors.length <= 16 && read.digest.length === 64, 'a form that it does not have');
    },
  },
  {
    name: 'policy',
    samples: [utf8(POLICY)],
    take(input) {
      const { quorum, witnesses } = parsePolicy(input);
      demand(
        isReached(quorum, () => true),
        'a quorum that nobody can reach',
      );
      const none = isReached(quorum, () => false);
      demand(none || witnesses.length > 0, 'a quorum without witnesses');
    },
  },
  {
    name: '.ots',
    samples: [...varied, ...real, otsFile(raw(0xff, 0x08), BLOCK, raw(0x08), BLOCK)],
    take(input) {
      const written = serializeOtsFile(parseOtsFile(input));
      demand(written.length <= input.length, 'written longer than it was read');
      demand(
        compareBytes(serializeOtsFile(parseOtsFile(written)), written) === 0,
        'written differently the second time',
      );
    },
  },
  {
    name: 'NDJSON',
    samples: ['{"a":1}\n{"b":2}\r\n\n \t\n{"c":"\u00e4"}', 'one line', '\n\n\n', 'x\ny\nz\n'].map(utf8),
    take(input) {
      const lines = Buffer.from(input).toString('latin1').split('\n');
      const expected = lines.filter((line) => !/^[ \t\r]*$/.test(line));
      const taken = cutLines(input).map((line) => Buffer.from(line).toString('latin1'));
      demand(JSON.stringify(taken) === JSON.stringify(expected), 'entries other than the lines');
    },
  },
  {
    name: 'signed webhook',
    samples: [utf8(`t=${SIGNED.at},v1=${MAC}\n${SIGNED.body}`)],
    take(input) {
      const newline = input.indexOf(0x0a);
      const headers = { 'stripe-signature': Buffer.from(input.subarray(0, Math.max(0, newline))).toString('latin1') };
      const body = input.subarray(newline + 1);
      const grounds = { secrets: [SIGNED.secret], now: SIGNED.at * 1_000, outside: { get: () => Promise.reject() } };
      void chooseScheme(SIGNED.choice, {}).open().verify({ method: 'POST', headers, query: {}, body }, grounds);
      demand(compareBytes(body, utf8(SIGNED.body)) === 0, 'a body that was not signed');
    },
  },
  {
    name: 'webhook body',
    samples: ['[{"a":1.0},{"b":[null,"\u00e4"]}]', '{"a":1}\n{"b":2}\r\n\nx', SIGNED.body].map(utf8),
    take(input) {
      const source = { id: 'src_0', name: 'fuzz', scheme: 'secret-header' };
      const content = readBody(input, input, null, 'application/json');
      const proof = { vouched: 'shared-secret', covers: ['body'] } as const;
      for (const verifier of VERIFIERS) {
        for (const { payload } of eventDrafts(source, { delivery: null, proof }, verifier, content)) {
          demand(JSON.parse(text(payload ?? new Uint8Array())).antequem === 'received/v1', 'a line that is none');
        }
      }
      // All of it is logged; what is no JSON is marked.
      if (content.fault !== null) throw Object.assign(new Error('set aside'), { code: content.fault });
    },
  },
  {
    name: 'configuration',
    samples: [utf8(CONFIGURATION)],
    take(input) {
      const pairs = text(input)
        .split('\n')
        .map((line) => [line.split('=', 1)[0] ?? '', line.slice(line.indexOf('=') + 1)] as const);
      // A file that it names is another input.
      const { origin, port } = readConfig(Object.fromEntries(pairs.filter(([name]) => name !== 'TARGETS_FILE')));
      demand(origin !== '' && port <= 65_535, 'a configuration that is none');
    },
  },
  {
    name: 'targets',
    samples: [utf8(TARGETS)],
    take(input) {
      const { targets, faults } = parseTargets(text(input), 'targets.json');
      demand(targets.length + faults.length > 0, 'neither targets nor faults');
      if (faults.length > 0) throw Object.assign(new Error(faults[0]), { code: 'config-invalid' });
    },
  },
  {
    name: 'RLP',
    samples: [block.header, encodeRlp([[], [[], [root]], new Uint8Array(300), Uint8Array.of(1)])],
    take(input) {
      demand(compareBytes(encodeRlp(decodeRlp(input)), input) === 0, 'RLP in two spellings');
    },
  },
  { name: 'EVM header', samples: [block.header], take: readHeader },
  {
    name: 'EVM transaction',
    samples: TYPES.map((type) => transactionOf(root, { type })),
    take(input) {
      const { chain, hash } = readTransaction(input);
      demand(hash.length === 66 && (chain === null || chain.startsWith('eip155:')), 'a transaction that is none');
    },
  },
  {
    name: 'EVM receipt',
    samples: TYPES.map((type) => outcomeOf(root, { type, logsBefore: type })),
    take: readEvmReceipt,
  },
  {
    name: 'round leaves',
    samples: [
      encodeLink({
        number: 7,
        closedAt: 1_780_000_000_000,
        previousRoot: root,
        beacons: [{ chain: 'eip155:1', height: 9, hash: root }],
      }),
      encodeCheckpointLeaf({ logId: seeded('log'), size: 40, root }),
    ],
    take(input) {
      const again = input[0] === 0x80 ? encodeLink(parseLink(input)) : encodeCheckpointLeaf(parseCheckpointLeaf(input));
      demand(compareBytes(again, input) === 0, 'a leaf in two spellings');
    },
  },
  {
    name: 'bundle',
    samples: [encodeBundle([seeded('one'), new Uint8Array(0), new Uint8Array(73)])],
    take(input) {
      demand(compareBytes(encodeBundle(parseBundle(input)), input) === 0, 'a bundle in two spellings');
    },
  },
  {
    name: 'tile path',
    samples: ['tile/0/x001/x234/067', 'tile/6/000.p/255', 'tile/entries/x001/000.p/1'].map(utf8),
    take(input) {
      const written = text(input);
      demand(tileLocation(parseTileLocation(written)) === written, 'a path in two spellings');
    },
  },
  {
    name: 'hex',
    samples: [utf8(toHex(root))],
    take(input) {
      const written = text(input);
      demand(toHex(fromHex(written)) === written, 'hex in two spellings');
    },
  },
];
