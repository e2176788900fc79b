import { type Signal, useSignal } from '@preact/signals';
import { messageOf } from '../../core/errors.ts';
import { type SchemeAnswer, schemesAnswer, sourceWithSecret } from './answers.ts';
import { ask } from './api.ts';
import { Failure } from './notice.tsx';
import { usePolled } from './polled.ts';
import { enteredSettings, SettingField, shownSetting } from './setting.tsx';
import type { ToldSource } from './source-secret.tsx';

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

const SECRET_HINTS: Readonly<Record<SchemeAnswer['secret'], string>> = {
  made: 'If the sender made the secret, enter it here. Leave this empty to have one made.',
  given: 'The token for the API.',
  none: '',
};

interface SourceFormProps {
  readonly logs: readonly string[];
  /** Called with what to enter at the sender; null: the source is fetched from. */
  readonly made: (source: ToldSource | null) => void;
}

/** The form that makes a source. The service checks the settings. */
export function SourceForm({ logs, made }: SourceFormProps) {
  const [name, log, choice, secret] = [useSignal(''), useSignal(logs[0] ?? ''), useSignal(''), useSignal('')];
  const entered = useSignal<Readonly<Record<string, string>>>({});
  const fault = useSignal<string | null>(null);
  const { data, failure } = usePolled(
    'schemes of sources',
    (signal) => ask('v1/source-schemes', schemesAnswer, { signal }),
    () => null,
  );
  const schemes = data.value?.schemes ?? [];
  const scheme = schemes.find((each) => each.name === choice.value) ?? schemes[0];
  const create = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (scheme === undefined) return;
    fault.value = NAME.test(name.value)
      ? null
      : 'The name of a source consists of lower-case letters, digits, dots, dashes and underscores.';
    if (fault.value !== null) return;
    const given = scheme.secret === 'none' || secret.value === '' ? {} : { secret: secret.value };
    try {
      const settings = enteredSettings(scheme.settings, entered.value);
      const body = JSON.stringify({ name: name.value, log: log.value, scheme: scheme.name, settings, ...given });
      const headers = { 'content-type': 'application/json' };
      const source = await ask('v1/sources', sourceWithSecret, { method: 'POST', headers, body });
      const told = { ...source, secret: given.secret === undefined ? source.secret : null };
      made(scheme.kind === 'pull' ? null : told);
    } catch (error) {
      fault.value = messageOf(error);
    }
  };
  if (logs.length === 0) return <p class="soft">Create a log first. The events of a source go into a log.</p>;
  return (
    <form class="card stack stamp" onSubmit={create} noValidate aria-labelledby="new-source">
      <h2 id="new-source">New source</h2>
      <Failure of={failure} />
      <div class="field">
        <label for="source-name">Name</label>
        <input
          id="source-name"
          type="text"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={name.value}
          onInput={(event) => {
            name.value = event.currentTarget.value;
          }}
        />
      </div>
      <Select
        id="source-scheme"
        label="Sender or scheme"
        value={choice}
        of={schemes.map((each) => each.name)}
        onChange={() => {
          entered.value = {};
        }}
      />
      <Select id="source-log" label="Log" value={log} of={logs} />
      {scheme !== undefined && scheme.secret !== 'none' && (
        <div class="field">
          <label for="source-secret">{scheme.secret === 'given' ? 'Token' : 'The sender’s secret'}</label>
          <input
            id="source-secret"
            type="password"
            autocomplete="off"
            aria-describedby="source-secret-hint"
            value={secret.value}
            onInput={(event) => {
              secret.value = event.currentTarget.value;
            }}
          />
          <span class="hint" id="source-secret-hint">
            {SECRET_HINTS[scheme.secret]}
          </span>
        </div>
      )}
      {scheme !== undefined && <Settings scheme={scheme} entered={entered} />}
      <Failure of={fault} />
      <div class="row">
        <button type="submit" class="button first">
          Create the source
        </button>
      </div>
    </form>
  );
}

interface SettingsProps {
  readonly scheme: SchemeAnswer;
  readonly entered: Signal<Readonly<Record<string, string>>>;
}

/** What must be entered is in sight; what has a default is folded away. */
function Settings({ scheme, entered }: SettingsProps) {
  const fields = (required: boolean) =>
    scheme.settings
      .filter((setting) => setting.required === required)
      .map((setting) => (
        <SettingField
          key={`${scheme.name} ${setting.name}`}
          setting={setting}
          text={entered.value[setting.name] ?? shownSetting(setting)}
          onText={(text) => {
            entered.value = { ...entered.value, [setting.name]: text };
          }}
        />
      ));
  const optional = fields(false);
  return (
    <>
      {fields(true)}
      {optional.length > 0 && (
        <details key={scheme.name}>
          <summary>More settings</summary>
          <div class="stack settings">{optional}</div>
        </details>
      )}
    </>
  );
}

interface SelectProps {
  readonly id: string;
  readonly label: string;
  readonly value: Signal<string>;
  readonly of: readonly string[];
  readonly onChange?: () => void;
}

function Select({ id, label, value, of, onChange }: SelectProps) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={value.value}
        onChange={(event) => {
          value.value = event.currentTarget.value;
          onChange?.();
        }}
      >
        {of.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </div>
  );
}
