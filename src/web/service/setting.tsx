import { visible } from '../parts/visible.ts';
import type { SettingAnswer } from './answers.ts';

/** A setting as its field shows it: lists have one element on each line. */
export function shownSetting({ type, default: value }: Pick<SettingAnswer, 'type' | 'default'>): string {
  if (value === null) return '';
  if (type === 'list' && Array.isArray(value)) return value.join('\n');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * What the fields say, as the API takes it: what differs from the defaults.
 * @param entered by the name of the setting
 * @throws Error for a number or JSON that is none, naming the setting
 */
export function enteredSettings(
  settings: readonly SettingAnswer[],
  entered: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const changed = settings.filter(
    (setting) => (entered[setting.name] ?? shownSetting(setting)) !== shownSetting(setting),
  );
  return Object.fromEntries(
    changed.map((setting) => [setting.name, settingValue(setting, entered[setting.name] ?? '')]),
  );
}

function settingValue({ name, type, nullable }: SettingAnswer, text: string): unknown {
  if (text.trim() === '' && nullable) return null;
  if (type === 'flag') return text === 'true';
  if (type === 'list') return text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
  if (type !== 'number' && type !== 'json') return text.trim();
  try {
    const value: unknown = JSON.parse(text);
    if (type === 'json' || typeof value === 'number') return value;
  } catch {
    // Said below.
  }
  throw new Error(`${name}: this is ${type === 'json' ? 'no JSON' : 'not a number'}`);
}

interface SettingProps {
  readonly setting: SettingAnswer;
  readonly text: string;
  readonly onText: (text: string) => void;
}

/** The field of one setting. */
export function SettingField({ setting, text, onText }: SettingProps) {
  const { name, type, says, required, values } = setting;
  const id = `setting-${name}`;
  const about = { id, value: text, required, 'aria-describedby': `${id}-hint` };
  const options = type === 'flag' ? ['true', 'false'] : values;
  return (
    <div class="field">
      <label for={id}>{visible(name, 63)}</label>
      {type === 'flag' || type === 'choice' ? (
        <select {...about} onChange={(event) => onText(event.currentTarget.value)}>
          {options.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
      ) : type === 'list' || type === 'json' ? (
        <textarea {...about} class="mono" spellcheck={false} onInput={(event) => onText(event.currentTarget.value)} />
      ) : (
        <input
          {...about}
          type="text"
          inputMode={type === 'number' ? 'numeric' : 'text'}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => onText(event.currentTarget.value)}
        />
      )}
      <span class="hint" id={`${id}-hint`}>
        {`${visible(says, 300)}${type === 'list' ? ' One on each line.' : ''}${required ? ' Required.' : ''}`}
      </span>
    </div>
  );
}
