import { BlockForm } from './block-form.tsx';
import { busy, check, faults, outcome, proof, startAnew, trusted, usefulBlocks } from './state.ts';
import type { TrustField } from './trust.ts';

interface FieldProps {
  readonly name: TrustField;
  readonly label: string;
  readonly hint: string;
  readonly example: string;
  readonly lines?: number;
}

const FIELDS: readonly FieldProps[] = [
  {
    name: 'key',
    label: 'The key of the log',
    hint: 'from its operator, not from the receipt: shows whose log it is',
    example: 'log.example.org/logs/app+1a2b3c4d+A…',
  },
  {
    name: 'rpc',
    label: 'A node of the chain',
    hint: 'JSON-RPC address of an EVM node that you trust',
    example: 'https://eth.example.org',
  },
  {
    name: 'confirmations',
    label: 'Blocks that make final',
    hint: 'only for a chain whose nodes name no final block',
    example: '12',
  },
  {
    name: 'esplora',
    label: 'A source for Bitcoin',
    hint: 'address of an Esplora API that you trust',
    example: 'https://blockstream.info/api',
  },
  {
    name: 'policy',
    label: 'A policy',
    hint: 'which logs and witnesses you trust (C2SP tlog-policy)',
    example: 'witness north north.example+1a2b3c4d+B…\nquorum north',
    lines: 3,
  },
  {
    name: 'authority',
    label: 'A timestamp authority',
    hint: 'certificates of its CA (PEM) that you trust; whether one was revoked is not asked',
    example: '-----BEGIN CERTIFICATE-----…',
    lines: 3,
  },
];

/** What the user trusts: blocks first. No server is asked but those that are named here. */
export function TrustForm() {
  const offered = usefulBlocks.value;
  return (
    <form
      class="card stack"
      aria-labelledby="trust-title"
      onSubmit={(event) => {
        event.preventDefault();
        void check();
      }}
    >
      <div class="stack tight">
        <h2 id="trust-title">Which block do you trust?</h2>
        <p class="soft">{leadOf(offered.length)}</p>
        <p class="soft small">
          A chain is a public record that many computers keep. It grows block by block; each block has a number, a time
          and a hash, which is a fingerprint of what is in it.
        </p>
      </div>
      {offered.length > 0 && (
        <ul class="blocks">
          {offered.map((block) => (
            <BlockForm key={block.id} block={block} />
          ))}
        </ul>
      )}
      <details class="other">
        <summary>Advanced: whose log it is, and asking a node yourself</summary>
        <div class="fields">
          {FIELDS.map((field) => (
            <Field key={field.name} {...field} />
          ))}
        </div>
      </details>
      <div class="row">
        <button type="submit" class="button first" aria-disabled={proof.value === null}>
          {busy.value ? 'Verifying…' : 'Verify'}
        </button>
        <button type="button" class="button" onClick={startAnew}>
          Start anew
        </button>
        {proof.value === null && <span class="soft small">There is no receipt yet.</span>}
      </div>
    </form>
  );
}

function leadOf(offered: number): string {
  if (proof.value === null) {
    return 'A receipt leads to a block of a public chain. Once you have confirmed that the block is there, the date is proven.';
  }
  if (offered === 0 && outcome.value?.verdict.result === 'refuted')
    return 'No block can prove this: the verdict below says why.';
  if (offered === 0) return 'This proof does not name a block of a chain, so it cannot prove a time yet.';
  const which = offered === 1 ? 'this block' : 'one of these blocks';
  return `The date is proven once you have confirmed ${which}. Look it up with two sources that have nothing to do with whoever gave you the receipt; if they agree, paste what they show.`;
}

function Field({ name, label, hint, example, lines = 1 }: FieldProps) {
  const fault = faults.value[name];
  const Input = lines === 1 ? 'input' : 'textarea';
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <Input
        id={name}
        class="mono"
        {...(lines === 1 ? { type: 'text' } : { rows: lines })}
        inputMode={name === 'rpc' || name === 'esplora' ? 'url' : 'text'}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        placeholder={example}
        value={trusted.value[name]}
        aria-describedby={`${name}-hint`}
        aria-invalid={fault !== undefined}
        onInput={(event) => {
          trusted.value = { ...trusted.value, [name]: event.currentTarget.value };
        }}
      />
      <span class={fault === undefined ? 'hint' : 'hint fault'} id={`${name}-hint`}>
        {fault ?? hint}
      </span>
    </div>
  );
}
