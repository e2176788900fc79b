import { useEffect, useRef } from 'preact/hooks';
import { toHex } from '../../core/bytes.ts';
import type { Verdict } from '../../core/verdict.ts';
import { Bytes } from '../parts/bytes.tsx';
import { type Status, StatusMark } from '../parts/mark.tsx';
import { chainName, formatBytes, formatCount, formatMoment } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { Steps, Strip } from './path.tsx';
import { asking, failure, outcome, type VerifiedProof } from './state.ts';
import { stepsOf } from './steps.ts';

const STATUS: Readonly<Record<Verdict['result'], Status>> = {
  proven: 'verified',
  refuted: 'refuted',
  unproven: 'unverified',
};

const WORDS: Readonly<Record<Verdict['result'], string>> = {
  proven: 'Proven',
  refuted: 'Refuted',
  unproven: 'Not proven',
};

/** The verdict, which prints as a certificate. */
export function Result() {
  const shown = outcome.value;
  return (
    <section class="result" aria-label="Verdict">
      <div role="status">
        {asking.value && <p class="soft">Asking the sources you named…</p>}
        {shown !== null && <Banner {...shown} />}
      </div>
      <div role="alert">
        {failure.value !== null && (
          <p class="status refuted error">
            <StatusMark status="refuted" />
            {visible(failure.value)}
          </p>
        )}
      </div>
      {shown !== null && <Certificate {...shown} />}
    </section>
  );
}

function Banner({ verdict, content, at }: VerifiedProof) {
  const { result, existedBefore } = verdict;
  const box = useRef<HTMLDivElement>(null);
  // Scrolls the new verdict into view.
  useEffect(() => box.current?.scrollIntoView({ block: 'nearest' }), [at]);
  return (
    <div ref={box} class={`banner status ${STATUS[result]}`}>
      <StatusMark status={STATUS[result]} />
      <div class="stack tight">
        <p class="word">{WORDS[result]}</p>
        <h2>
          {existedBefore === null
            ? headline(verdict)
            : `${content === null ? 'The digest' : 'This'} existed before ${unbroken(formatMoment(existedBefore.time))}`}
        </h2>
        <p>{existedBefore === null ? advice(verdict) : basis(verdict)}</p>
      </div>
    </div>
  );
}

/** The words of a date stay together. */
function unbroken(text: string): string {
  return text.replaceAll(' ', '\u00a0').replace(',\u00a0', ', ');
}

function headline(verdict: Verdict): string {
  if (verdict.result === 'unproven') return 'Nothing contradicts it, but no source you trust confirms it yet';
  const refuted = verdict.claims.filter(({ status }) => status === 'refuted');
  return visible((refuted.find(({ claim }) => claim !== 'anchor') ?? refuted[0])?.says ?? 'It does not hold.', 600);
}

/** The next step towards a better verdict. */
function advice({ result, claims }: Verdict): string {
  if (result === 'refuted') return 'The other results below do not change that.';
  const codes = new Set(claims.map(({ code }) => code));
  if (codes.has('round-pending'))
    return 'The round of this entry had not closed when the receipt was made: get a newer one.';
  if (codes.has('no-anchor') || codes.has('anchor-not-included'))
    return 'It is not on a chain yet: get a newer receipt later.';
  if (!claims.some(({ claim }) => claim === 'anchor'))
    return "A tlog-proof proves an entry's place in the log but not its time: its receipt proves both.";
  if (claims.every(({ claim, code }) => claim !== 'anchor' || code === 'anchor-unknown'))
    return 'This page cannot check this type of anchor: a newer version may.';
  const chains = new Set(
    claims.flatMap(({ claim, chain }) => (claim === 'anchor' && chain !== undefined ? [chain] : [])),
  );
  const where = chains.size === 0 ? 'Bitcoin' : [...chains].map(chainName).join(' or ');
  return `Name a source for ${where} that you trust, or the hash of the block, and verify again.`;
}

function basis({ existedBefore, notBefore, claims }: Verdict): string {
  if (existedBefore === null) return '';
  const { chain, block } = existedBefore;
  const parts = [`By block ${formatCount(block.number)} of ${chainName(chain)}.`];
  if (notBefore !== null) {
    parts.push(`Its round was formed after ${formatMoment(notBefore.time)}; the entry itself may be older.`);
  }
  const checkpoint = claims.find(({ claim }) => claim === 'checkpoint');
  if (checkpoint?.code === 'key-not-given')
    parts.push("The log's identity was not checked: you gave no key of the log.");
  if (checkpoint?.status === 'refuted') parts.push(checkpoint.says);
  if (chain.startsWith('bip122:')) parts.push('Bitcoin block times can be off by about two hours.');
  return visible(parts.join(' '), 2_000);
}

function Certificate(shown: VerifiedProof) {
  const { verdict, proof, content, digest, trusted, notes, at } = shown;
  const steps = stepsOf(proof, verdict, digest);
  const sources = [trusted.rpc, trusted.esplora]
    .flatMap((text) => text.split(/[\s,]+/))
    .flatMap((text) => URL.parse(text)?.host ?? []);
  return (
    <div class="stack">
      <Strip steps={steps} />
      <Steps steps={steps} />
      {notes.map((note) => (
        <p key={note} class="status unverified soft">
          <StatusMark status="unverified" /> {visible(note)}
        </p>
      ))}
      <dl class="facts signature">
        <div>
          <dt>File</dt>
          <dd>{nameOf(shown)}</dd>
        </div>
        {digest !== null && (
          <div>
            <dt>Digest</dt>
            <dd>
              <Bytes text={toHex(digest)} />
            </dd>
          </div>
        )}
        <div>
          <dt>Receipt</dt>
          <dd>{visible(proof.file.name, 200)}</dd>
        </div>
        <div>
          <dt>Trusted</dt>
          <dd>
            {[
              ...sources,
              ...(trusted.blocks.trim() === '' ? [] : [`block hash ${trusted.blocks.trim()}`]),
              ...(trusted.key.trim() === '' ? [] : ['the key of the log']),
            ].join(', ') || 'nothing but the bytes'}
          </dd>
        </div>
        <div>
          <dt>Verified</dt>
          <dd>{`${formatMoment(new Date(at).toISOString())}, by this machine's clock`}</dd>
        </div>
      </dl>
      <div class="row actions">
        <button type="button" class="button" onClick={() => print()}>
          Print as a certificate
        </button>
        {content === null && <span class="soft small">Add the file itself to check its content too.</span>}
      </div>
      <p class="printed small">
        Anyone with the file and the receipt can repeat this without the operator: with any copy of this page, with
        `antequem verify`, or by hand as described in the documentation.
      </p>
    </div>
  );
}

function nameOf({ content }: VerifiedProof): string {
  if (content === null) return 'not given';
  if (content.kind === 'file') return `${visible(content.file.name, 200)}, ${formatBytes(content.file.size)}`;
  return content.kind === 'text' ? `text: ${visible(content.text, 200)}` : 'only its digest';
}
