import { useSignal } from '@preact/signals';
import { Failure } from './notice.tsx';
import { signIn } from './session.ts';

/** Exchanges an API key for a session. The page does not keep the key. */
export function SignIn() {
  const key = useSignal('');
  const fault = useSignal<string | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const given = key.value;
    if (given.trim() === '') {
      fault.value = 'Enter a key.';
      return;
    }
    key.value = '';
    fault.value = await signIn(given).catch(() => 'The service cannot be reached.');
  };
  return (
    <form class="card stack sign-in" onSubmit={submit}>
      <div class="stack tight">
        <h1 tabIndex={-1}>Sign in</h1>
        <p class="soft">
          With an API key. It is exchanged for a session of twelve hours, and your browser keeps only that, out of reach
          of scripts.
        </p>
      </div>
      <div class="field">
        <label for="key">API key</label>
        <input
          id="key"
          class="mono"
          type="password"
          autocomplete="off"
          spellcheck={false}
          placeholder="aq_…"
          value={key.value}
          onInput={(event) => {
            key.value = event.currentTarget.value;
          }}
        />
      </div>
      <Failure of={fault} />
      <div>
        <button type="submit" class="button first">
          Sign in
        </button>
      </div>
      <p class="soft small">
        No key is needed to check a receipt: <a href="verify">the verifier</a> asks nothing of this service.
      </p>
    </form>
  );
}
