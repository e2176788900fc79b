import { useEffect, useRef } from 'preact/hooks';
import type { Verdict } from '../../core/verdict.ts';
import { Prose } from '../parts/bytes.tsx';
import { type Status, StatusMark } from '../parts/mark.tsx';
import { visible } from '../parts/visible.ts';
import { Certificate } from './certificate.tsx';
import { Path } from './path.tsx';
import { wasRead } from './scope.ts';
import { explanation, provesToNobody, verdictTitle } from './sentences.ts';
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

/** The verdict, which prints as a certificate or as a report. */
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
      {shown !== null && <Details {...shown} />}
      {shown !== null && <Certificate {...shown} />}
    </section>
  );
}

function Banner(shown: VerifiedProof) {
  const { result } = shown.verdict;
  const test = provesToNobody(shown.verdict);
  const box = useRef<HTMLDivElement>(null);
  // Scrolls the new verdict into view.
  useEffect(() => box.current?.scrollIntoView({ block: 'nearest' }), [shown.at]);
  return (
    <div ref={box} class={`banner status ${STATUS[result]}${test ? ' test' : ''}`}>
      <StatusMark status={STATUS[result]} />
      <div class="stack tight">
        <p class="word">{result === 'proven' && !wasRead(shown.content) ? 'Proven for a digest' : WORDS[result]}</p>
        <h2>{verdictTitle(shown)}</h2>
        {explanation(shown, 'page').map((sentence) => (
          <p key={sentence}>
            <Prose text={sentence} />
          </p>
        ))}
      </div>
    </div>
  );
}

function Details(shown: VerifiedProof) {
  const { verdict, proof, content, digest, notes } = shown;
  return (
    <div class="stack on-screen">
      <Path steps={stepsOf(proof, verdict, digest)} />
      {notes.map((note) => (
        <p key={note} class="status unverified soft">
          <StatusMark status="unverified" /> {visible(note)}
        </p>
      ))}
      <div class="row actions">
        <button type="button" class="button" onClick={() => print()}>
          {verdict.result === 'proven' && wasRead(content) ? 'Print as a certificate' : 'Print as a report'}
        </button>
        {content === null && <span class="soft small">Add the file itself to check its content too.</span>}
      </div>
    </div>
  );
}
