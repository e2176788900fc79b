import { isTestChain } from '../../core/test-chain.ts';
import { Copyable } from '../parts/bytes.tsx';
import { chainName, explorersOf } from '../parts/chains.ts';
import { formatCount, formatMoment } from '../parts/units.ts';
import { type OfferedBlock, pastedFault } from './offered-block.ts';
import { paste, pasted } from './state.ts';

/** One block that the proof names: where to look it up, and where to paste what was found there. */
export function BlockForm({ block }: { readonly block: OfferedBlock }) {
  const { chain, height, time, proof } = block;
  const name = `${chainName(chain)} block ${formatCount(height)}`;
  const pages = explorersOf(chain, height);
  const test = isTestChain(chain);
  return (
    <li class={`block stack tight${test ? ' status test' : ''}`}>
      <h3>{name}</h3>
      {time !== null && <p class="soft small">{`stamped ${formatMoment(time)}, by the receipt`}</p>}
      {test && <p class="small tone">A test chain: it proves nothing to others.</p>}
      {pages.length > 0 ? (
        <p class="small">
          {'Look it up: '}
          {pages.map((page, i) => (
            <span key={page}>
              {i > 0 && ' and '}
              <a href={page} target="_blank" rel="noreferrer">
                {URL.parse(page)?.host}
              </a>
            </span>
          ))}
        </p>
      ) : (
        <p class="small soft">No public page shows this chain: ask its node for the block.</p>
      )}
      {proof.kind === 'source' && (
        <p class="small">
          The receipt has no proof that leads from this block's hash to its root: only a node of the chain can confirm
          it.
        </p>
      )}
      {proof.kind === 'header' && (
        <>
          <p class="small">Its Merkle root must be:</p>
          <p>
            <Copyable text={proof.merkleRoot} what="the Merkle root" />
          </p>
          <p class="small">To prove the time here, paste the header of the block, which explorers give as hex.</p>
        </>
      )}
      {proof.kind !== 'source' && <Field block={block} name={name} />}
    </li>
  );
}

/** What to look for. */
const HINTS: Readonly<Record<OfferedBlock['proof']['kind'], string>> = {
  hash: 'explorers call it the hash of the block: 64 letters and digits, after 0x on Ethereum and its like',
  header: '160 letters and digits; explorers with an API give it at /api/block/HASH/header',
  source: '',
};

function Field({ block, name }: { readonly block: OfferedBlock; readonly name: string }) {
  const what = block.proof.kind === 'hash' ? 'Hash' : 'Header';
  const text = pasted.value[block.id] ?? '';
  const fault = pastedFault(block, text);
  const id = `block-${block.id.replace(/\W/g, '-')}`;
  return (
    <div class="field">
      <label for={id}>{`${what} of ${name}`}</label>
      <input
        id={id}
        class="mono"
        type="text"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        placeholder="paste it here"
        value={text}
        aria-describedby={`${id}-hint`}
        aria-invalid={fault !== null}
        onInput={(event) => paste(block, event.currentTarget.value)}
      />
      <span class={fault === null ? 'hint' : 'hint fault'} id={`${id}-hint`} role="status">
        {fault ?? (text === '' ? HINTS[block.proof.kind] : 'It is the one that the proof leads from.')}
      </span>
    </div>
  );
}
