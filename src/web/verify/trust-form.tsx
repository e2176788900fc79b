import { busy, check, faults, proof, startAnew, trusted } from './state.ts';
import type { TrustField } from './trust.ts';

interface FieldProps {
  readonly name: TrustField;
  readonly label: string;
  readonly hint: string;
  readonly example: string;
}

const FIELDS: readonly FieldProps[] = [
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
    name: 'blocks',
    label: 'Or the hash of the block',
    hint: 'from someone you trust: with it no node is asked',
    example: '0x…',
  },
  {
    name: 'key',
    label: 'The key of the log',
    hint: "from its operator, not from the receipt: proves the log's identity",
    example: 'log.example.org/logs/app+1a2b3c4d+A…',
  },
];

/** The sources that the user trusts. No other server is asked. */
export function TrustForm() {
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
        <h2 id="trust-title">What you trust</h2>
        <p class="soft">
          A receipt proves a date only with a source that sees the chain for you. Without a source the page still finds
          contradictions.
        </p>
      </div>
      <div class="fields">
        {FIELDS.map((field) => (
          <Field key={field.name} {...field} />
        ))}
      </div>
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

function Field({ name, label, hint, example }: FieldProps) {
  const fault = faults.value[name];
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <input
        id={name}
        class="mono"
        type="text"
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
