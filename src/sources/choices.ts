// What a source can be made with, and the settings of each choice, for those who make sources.

import { z } from 'zod';
import { PULLED_APIS } from './pulled/apis.ts';
import { API_NAMES, SCHEME_NAMES, SENDER_NAMES } from './scheme-names.ts';
import { namedScheme } from './schemes.ts';

/** How a setting is entered: `list` is an array of strings, `json` any other JSON. */
export const SETTING_TYPES = ['text', 'number', 'flag', 'choice', 'list', 'json'] as const;

export interface SettingChoice {
  readonly name: string;
  readonly type: (typeof SETTING_TYPES)[number];
  /** What it is for, in one sentence. */
  readonly says: string;
  readonly required: boolean;
  readonly nullable: boolean;
  /** JSON; null: there is none. */
  readonly default: z.core.util.JSONType;
  /** The values of a `choice`. */
  readonly values: readonly string[];
}

export interface SourceChoice {
  readonly name: string;
  /** What checks its requests; for an API its own name. */
  readonly scheme: string;
  /** Whether the sender sends, or a worker fetches. */
  readonly kind: 'webhook' | 'pull';
  /** `made`: one is made if none is given; `given`: it must be given; `none`: there is none. */
  readonly secret: 'made' | 'given' | 'none';
  readonly settings: readonly SettingChoice[];
}

let choices: readonly SourceChoice[] | null = null;

/** All choices, schemes first. */
export function sourceChoices(): readonly SourceChoice[] {
  choices ??= [
    ...[...SCHEME_NAMES, ...SENDER_NAMES].map((name): SourceChoice => {
      const { name: scheme, scheme: known, preset } = namedScheme(name);
      const secret = known.hasSecret ? 'made' : 'none';
      return { name, scheme, kind: 'webhook', secret, settings: settingsOf(known.form, preset) };
    }),
    ...API_NAMES.map((name): SourceChoice => {
      const settings = settingsOf(PULLED_APIS[name].form, {});
      return { name, scheme: name, kind: 'pull', secret: 'given', settings };
    }),
  ];
  return choices;
}

/** The parts of JSON Schema that settings are written in. */
const typeForm = z.object({
  type: z.string().optional(),
  enum: z.array(z.string()).default([]),
  items: z.object({ type: z.string().optional() }).default({}),
});
const propertyForm = typeForm.extend({
  anyOf: z.array(typeForm).default([]),
  description: z.string(),
  default: z.json().default(null),
});
const objectForm = z.object({
  properties: z.record(z.string(), propertyForm),
  required: z.array(z.string()).default([]),
});

function settingsOf(form: z.ZodType, preset: object): SettingChoice[] {
  const { properties, required } = objectForm.parse(z.toJSONSchema(form, { io: 'input' }));
  const given = new Map(Object.entries(z.record(z.string(), z.json()).parse(preset)));
  return Object.entries(properties).map(([name, property]) => {
    const [kind = property] = property.anyOf.filter(({ type }) => type !== 'null');
    return {
      name,
      type: typeOf(kind),
      says: property.description,
      required: required.includes(name) && !given.has(name),
      nullable: property.anyOf.some(({ type }) => type === 'null'),
      default: given.get(name) ?? property.default,
      values: kind.enum,
    };
  });
}

function typeOf({ type, enum: values, items }: z.output<typeof typeForm>): SettingChoice['type'] {
  if (values.length > 0) return 'choice';
  if (type === 'string') return 'text';
  if (type === 'boolean') return 'flag';
  if (type === 'integer' || type === 'number') return 'number';
  return type === 'array' && items.type === 'string' ? 'list' : 'json';
}
