// What is printed: it stands alone on paper.

import { encodeQR } from 'qr';
import { parseHeader } from '../../core/bitcoin-header.ts';
import { fromHex, toHex } from '../../core/bytes.ts';
import { type Anchor, knownAnchors, type Receipt } from '../../core/receipt.ts';
import type { Claim } from '../../core/verdict.ts';
import { Bytes } from '../parts/bytes.tsx';
import { chainName, explorersOf } from '../parts/chains.ts';
import { Emblem } from '../parts/mark.tsx';
import { formatCount, formatMoment } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { explanation, forPeople, nameMoment, nameOf, provesToNobody, verdictTitle } from './sentences.ts';
import type { VerifiedProof } from './state.ts';

/** A certificate of what is proven; of anything else a report. */
export function Certificate(shown: VerifiedProof) {
  const { verdict, proof, content, digest, at } = shown;
  const proven = verdict.result === 'proven';
  const test = provesToNobody(verdict);
  const title = !proven ? 'Verification report' : test ? 'Certificate (test chain)' : 'Certificate of existence';
  const receipt = proof.kind === 'receipt' ? proof.read : null;
  const code = qrText(shown);
  return (
    <article class="certificate">
      <header class="row spread">
        <div>
          <p class="brand">
            <Emblem />
            <span>Antequem</span>
          </p>
          <h1>{title}</h1>
        </div>
        {code !== null && <QrCode text={code} />}
      </header>
      <p class="claim">{`${verdictTitle(shown, content?.kind === 'file' ? content.file.name : null)}.`}</p>
      {explanation(shown).map((sentence) => (
        <p key={sentence}>{sentence}</p>
      ))}
      <Rows
        title="What it is about"
        rows={[
          ['File', nameOf(content)],
          ...(digest === null ? [] : [[`Digest (${hashOf(shown)})`, toHex(digest)] as const]),
          ['Receipt', visible(proof.file.name, 200)],
          ...(receipt === null ? [] : placeRows(receipt, verdict.claims)),
        ]}
      />
      {receipt === null
        ? timestampRows(shown).map(({ title: name, rows }) => <Rows key={name} title={name} rows={rows} />)
        : anchorRows(receipt, verdict.claims).map(({ title: name, rows }) => (
            <Rows key={name} title={name} rows={rows} />
          ))}
      <Rows
        title="How it was checked"
        rows={[
          ['Trusted', trustedBy(shown)],
          ['Checked', `${formatMoment(new Date(at).toISOString())}, by this machine's clock`],
        ]}
      />
      <p class="small">
        Anyone can repeat this without asking the person who made it. Open any copy of the Antequem verifier page, give
        it the file and the receipt, look the block up with two explorers and paste its hash. The command antequem
        verify does the same, and the documentation, under Checking a receipt with nothing of ours, says how to do it by
        hand.
      </p>
    </article>
  );
}

type Row = readonly [name: string, value: string];

function Rows({ title, rows }: { readonly title: string; readonly rows: readonly Row[] }) {
  return (
    <section>
      <h2>{title}</h2>
      <dl class="facts">
        {rows.map(([name, value]) => (
          <div key={name + value}>
            <dt>{name}</dt>
            <dd>{/^(?:0x)?[0-9a-f]{40,}$/.test(value) ? <Bytes text={value} /> : value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function placeRows({ entry, ...receipt }: Receipt, claims: readonly Claim[]): Row[] {
  const signed = claims.some(({ code }) => code === 'signature-holds');
  const rows: Row[] = [
    ['Entry', `${formatCount(entry.index)} of the log ${entry.log}`],
    ['Log', signed ? 'signed by the log, by the key that was given' : 'whose log it is was not checked'],
  ];
  if (!('round' in receipt)) return rows;
  const { number, closedAt, root } = receipt.round;
  return [...rows, ['Round', `${formatCount(number)}, closed ${formatMoment(closedAt)}`], ['Root of the round', root]];
}

interface Group {
  readonly title: string;
  readonly rows: readonly Row[];
}

function anchorRows(receipt: Receipt, claims: readonly Claim[]): Group[] {
  return knownAnchors(receipt).flatMap((anchor) => groupsOf(anchor, claims));
}

function groupsOf(anchor: Anchor, claims: readonly Claim[]): Group[] {
  if (anchor.type === 'opentimestamps') {
    return (anchor.blocks ?? []).map(({ chain, height, header, time }) => ({
      title: `Anchor: ${chainName(chain)}, by OpenTimestamps`,
      rows: blockRows({ chain, height, hash: parseHeader(fromHex(header)).hash, time }, claims),
    }));
  }
  if (anchor.type === 'rfc3161') {
    const { authority, time } = anchor;
    const checked = claims.some(({ code, time: proven }) => code === 'token-trusted' && proven === time);
    return [
      {
        title: 'Anchor: a timestamp authority (RFC 3161)',
        rows: [
          ['Authority', visible(authority, 500)],
          ['Signed', formatMoment(time)],
          ['Confirmed', checked ? 'yes, in this check' : 'not in this check'],
        ],
      },
    ];
  }
  // Of other kinds, and of anchors that are in no block yet, the certificate shows the claims alone.
  if (anchor.type !== 'evm' || anchor.status === 'submitted') return [];
  const { chain, contract, transaction, block } = anchor;
  const { number, hash, time } = block;
  return [
    {
      title: `Anchor: ${chainName(chain)}`,
      rows: [
        ...blockRows({ chain, height: number, hash, time }, claims),
        ['Transaction', transaction],
        ['Contract', contract],
      ],
    },
  ];
}

interface AnchorBlock {
  readonly chain: string;
  readonly height: number;
  readonly hash: string;
  readonly time: string;
}

function blockRows({ chain, height, hash, time }: AnchorBlock, claims: readonly Claim[]): Row[] {
  const checked = claims.some(
    (each) => each.claim === 'anchor' && each.chain === chain && each.status === 'verified' && each.time === time,
  );
  const pages = explorersOf(chain, height);
  return [
    ['Block', `${chainName(chain)} block ${formatCount(height)} (${chain}), stamped ${formatMoment(time)}`],
    ['Hash of the block', hash],
    ['Confirmed', checked ? 'yes, in this check' : 'not in this check'],
    ...(pages.length === 0 ? [] : [['Look it up', pages.join(' and ')] as const]),
  ];
}

/** Of an .ots file or a tlog-proof: what was said of each anchor. */
function timestampRows({ verdict }: VerifiedProof): Group[] {
  const anchors = verdict.claims.filter(({ claim }) => claim === 'anchor');
  const { existedBefore } = verdict;
  const proven: Row[] =
    existedBefore !== null && 'block' in existedBefore
      ? [
          [
            'Block',
            `${nameMoment(existedBefore)} (${existedBefore.chain}), stamped ${formatMoment(existedBefore.time)}`,
          ],
          ['Hash of the block', existedBefore.block.hash],
          ['Look it up', explorersOf(existedBefore.chain, existedBefore.block.number).join(' and ')],
        ]
      : [];
  if (anchors.length === 0) return [];
  return [
    { title: 'Anchors', rows: [...proven, ...anchors.slice(0, 6).map(({ says }): Row => ['Found', forPeople(says)])] },
  ];
}

function trustedBy({ trusted, blockHashes }: VerifiedProof): string {
  const hosts = [trusted.rpc, trusted.esplora]
    .flatMap((text) => text.split(/[\s,]+/))
    .flatMap((text) => URL.parse(text)?.host ?? []);
  const parts = [
    ...hosts,
    ...(blockHashes.length === 0 ? [] : ['the block that the user confirmed']),
    ...(trusted.key.trim() === '' ? [] : ['the key of the log']),
    ...(trusted.policy.trim() === '' ? [] : ['a policy']),
    ...(trusted.authority.trim() === '' ? [] : ['a CA of timestamp authorities']),
  ];
  return parts.join(', ') || 'nothing but the bytes';
}

function hashOf({ proof }: VerifiedProof): string {
  return proof.kind === 'ots' && proof.read !== null ? proof.read.hash : 'SHA-256';
}

/** The digest and the block, for a scanner; null where nothing is proven. */
function qrText(shown: VerifiedProof): string | null {
  const { digest, verdict, proof } = shown;
  const { existedBefore } = verdict;
  const own = digest ?? (proof.kind === 'receipt' && proof.read !== null ? fromHex(proof.read.entry.digest) : null);
  if (existedBefore === null || !('block' in existedBefore) || own === null) return null;
  const { chain, block } = existedBefore;
  return `${hashOf(shown)} ${toHex(own)}\n${chain} block ${block.number} ${block.hash}`;
}

function QrCode({ text }: { readonly text: string }) {
  const rows = encodeQR(text, 'raw', { ecc: 'low', border: 2 });
  const path = rows.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join('');
  return (
    <svg class="qr" viewBox={`0 0 ${rows.length} ${rows.length}`} role="img" aria-label={`QR code: ${text}`}>
      <path d={path} />
    </svg>
  );
}
