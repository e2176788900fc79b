// What is printed: it stands alone on paper.

import version from 'antequem:version';
import { encodeQR } from 'qr';
import { parseHeader } from '../../core/bitcoin-header.ts';
import { fromHex, toHex } from '../../core/bytes.ts';
import { type Anchor, knownAnchors, type Receipt } from '../../core/receipt.ts';
import type { Claim } from '../../core/verdict.ts';
import { Bytes, Prose } from '../parts/bytes.tsx';
import { chainName, explorersOf } from '../parts/chains.ts';
import { Emblem } from '../parts/mark.tsx';
import { formatBytes, formatCount, formatMoment } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { digestIn } from './proof-file.ts';
import { provingClaim, scopeRows, wasRead } from './scope.ts';
import {
  comparedDigests,
  explanation,
  forPeople,
  nameMoment,
  nameOf,
  OPERATORS_CLOCK,
  paperTitle,
  verdictTitle,
} from './sentences.ts';
import type { VerifiedProof } from './state.ts';

/** A certificate of what is proven of content that was read; of anything else a report. */
export function Certificate(shown: VerifiedProof) {
  const { verdict, proof, content, at } = shown;
  const receipt = proof.kind === 'receipt' ? proof.read : null;
  const code = qrText(shown);
  const scope = scopeRows(shown);
  return (
    <article class="certificate">
      <header class="row spread">
        <div>
          <p class="brand">
            <Emblem />
            <span>Antequem</span>
          </p>
          <h1>{paperTitle(shown)}</h1>
        </div>
        {code !== null && (
          <QrCode text={code} caption={`QR code: the ${hashOf(shown)} digest, the block and its hash`} />
        )}
      </header>
      <p class="claim">{`${verdictTitle(shown, content?.kind === 'file' ? content.file.name : null)}.`}</p>
      {explanation(shown, 'paper').map((sentence) => (
        <p key={sentence}>
          <Prose text={sentence} />
        </p>
      ))}
      <Rows
        title="What it is about"
        rows={[
          [content?.kind === 'text' ? 'Text' : 'File', nameOf(content)],
          ...comparedDigests(shown),
          ['Receipt file', `${visible(proof.file.name, 200)}, ${formatBytes(proof.file.size)}`],
          ['Its SHA-256', proof.sha256],
          ...(receipt === null ? [] : placeRows(receipt, verdict.claims)),
        ]}
      />
      {receipt === null
        ? timestampRows(shown).map(({ title: name, rows }) => <Rows key={name} title={name} rows={rows} />)
        : anchorRows(receipt, shown).map(({ title: name, rows }) => <Rows key={name} title={name} rows={rows} />)}
      {scope.length > 0 && <Rows title="What is proven, and what is not" rows={scope} />}
      <Rows
        title="How it was checked"
        rows={[
          ['Trusted', trustedBy(shown)],
          ['Checked', `${formatMoment(new Date(at).toISOString())}, by this machine's clock`],
          ['Page', `Antequem verifier ${version}`],
        ]}
      />
      <p class="small">
        A digest (SHA-256) is a fingerprint of the bytes of a file. A chain is a public record that grows block by
        block; each block has a number, a time and a hash, which is its fingerprint.
      </p>
      <p class="small">
        Anyone can repeat this without asking the person who made it. Open any copy of the Antequem verifier page, give
        it the file and the receipt, look the block up with two explorers and paste its hash. The command antequem
        verify does the same. How to do it by hand is in docs/verification.md of the package antequem {version}:
        “Checking a receipt with nothing of ours”.
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
  return [
    ...rows,
    ['Round', `${formatCount(number)}, closed ${formatMoment(closedAt)} ${OPERATORS_CLOCK}`],
    ['Root of the round', root],
  ];
}

interface Group {
  readonly title: string;
  readonly rows: readonly Row[];
}

function anchorRows(receipt: Receipt, shown: VerifiedProof): Group[] {
  return knownAnchors(receipt).flatMap((anchor) => groupsOf(anchor, shown));
}

function groupsOf(anchor: Anchor, shown: VerifiedProof): Group[] {
  if (anchor.type === 'opentimestamps') {
    return (anchor.blocks ?? []).map(({ chain, height, header, time }) => ({
      title: `Anchor: ${chainName(chain)}, by OpenTimestamps`,
      rows: blockRows({ chain, height, hash: parseHeader(fromHex(header)).hash, time }, shown),
    }));
  }
  if (anchor.type === 'rfc3161') {
    const { authority, time } = anchor;
    const { claims, result } = shown.verdict;
    const checked = claims.find(({ code, time: proven }) => code === 'token-trusted' && proven === time);
    return [
      {
        title: 'Anchor: a timestamp authority (RFC 3161)',
        rows: [
          ['Authority', visible(authority, 500)],
          ['Signed', `${formatMoment(time)}${checked === undefined ? ', by the receipt' : ''}`],
          ...(result === 'refuted' ? [] : [['Confirmed', confirmedBy(checked)] as const]),
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
        ...blockRows({ chain, height: number, hash, time }, shown),
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

function blockRows({ chain, height, hash, time }: AnchorBlock, { verdict, contested }: VerifiedProof): Row[] {
  const checked = verdict.claims.find(
    (each) => each.claim === 'anchor' && each.chain === chain && each.status === 'verified' && each.time === time,
  );
  const other = contested.some((block) => block.chain === chain && block.height === height);
  const pages = explorersOf(chain, height);
  const stamped = `${formatMoment(time)}${checked === undefined ? ', by the receipt' : ''}`;
  return [
    ['Block', `${chainName(chain)} block ${formatCount(height)} (${chain}), stamped ${stamped}`],
    ['Hash of the block', hash],
    ...(verdict.result === 'refuted' ? [] : [['Confirmed', other ? ANOTHER : confirmedBy(checked)] as const]),
    ...(pages.length === 0 ? [] : [['Look it up', pages.join(' and ')] as const]),
  ];
}

const ANOTHER = 'no: the hash of another block was entered';

/** What was done to confirm a block. */
function confirmedBy(claim: Claim | undefined, entered = 'hash'): string {
  switch (claim?.grounds) {
    case undefined:
      return 'not in this check';
    case 'block-hash':
      return `the ${entered} was entered by whoever made this check, who says that they looked it up themselves`;
    case 'rpc':
      return 'by the node that whoever made this check named';
    case 'tsa':
      return 'by the certificates of the CA that whoever made this check gave';
    default:
      return 'by the source that whoever made this check named';
  }
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
          ['Confirmed', confirmedBy(provingClaim(verdict), 'header')],
          ['Look it up', explorersOf(existedBefore.chain, existedBefore.block.number).join(' and ')],
        ]
      : [];
  if (anchors.length === 0) return [];
  return [
    { title: 'Anchors', rows: [...proven, ...anchors.slice(0, 6).map(({ says }): Row => ['Found', forPeople(says)])] },
  ];
}

function trustedBy({ trusted, blockHashes, verdict }: VerifiedProof): string {
  const hosts = [trusted.rpc, trusted.esplora]
    .flatMap((text) => text.split(/[\s,]+/))
    .flatMap((text) => URL.parse(text)?.host ?? []);
  const parts = [
    ...hosts,
    ...(blockHashes.length === 0 || verdict.result === 'refuted' ? [] : ['the block that was entered by hand']),
    ...(trusted.key.trim() === '' ? [] : ['the key of the log']),
    ...(trusted.policy.trim() === '' ? [] : ['a policy']),
    ...(trusted.authority.trim() === '' ? [] : ['a CA of timestamp authorities']),
  ];
  return parts.join(', ') || 'nothing but the bytes';
}

function hashOf({ proof }: VerifiedProof): string {
  return digestIn(proof)?.hash ?? 'SHA-256';
}

/** The digest and the block, for a scanner; null where nothing is certified. */
function qrText(shown: VerifiedProof): string | null {
  const { content, digest, verdict } = shown;
  const { existedBefore } = verdict;
  if (existedBefore === null || !('block' in existedBefore) || digest === null || !wasRead(content)) return null;
  const { chain, block } = existedBefore;
  return `${hashOf(shown)} ${toHex(digest)}\n${chain} block ${block.number} ${block.hash}`;
}

function QrCode({ text, caption }: { readonly text: string; readonly caption: string }) {
  const rows = encodeQR(text, 'raw', { ecc: 'low', border: 2 });
  const path = rows.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join('');
  return (
    <figure class="qr">
      <svg viewBox={`0 0 ${rows.length} ${rows.length}`} role="img" aria-label={`QR code: ${text}`}>
        <path d={path} />
      </svg>
      <figcaption>{caption}</figcaption>
    </figure>
  );
}
