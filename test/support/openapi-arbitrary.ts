// Requests made up from an OpenAPI document: mostly such as fit its schemas, some that do not.

import fc, { type Arbitrary } from 'fast-check';
import { z } from 'zod';
import type { OpenApi, OperationObject, Parameter, Schema } from '../../src/api/openapi.ts';

export interface Call {
  readonly method: string;
  /** As the document has it. */
  readonly path: string;
  /** With its parameters and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
  readonly operation: OperationObject;
}

/** What exists, by the name of a path parameter: made-up names alone would test little but 404. */
export type Known = Readonly<Record<string, readonly string[]>>;

export function callArbitrary(document: OpenApi, known: Known): Arbitrary<Call> {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  // Made once for each operation: a pattern takes its time to become an arbitrary.
  const calls = operations.map(({ path, method, operation }) => {
    const { parameters, requestBody } = operation;
    const bodies = Object.entries(requestBody?.content ?? {});
    const body = bodies.map((one) => bodyArbitrary(one, document));
    return fc
      .record({
        inPath: parametersArbitrary(parameters, 'path', document, known),
        query: parametersArbitrary(parameters, 'query', document, known),
        headers: parametersArbitrary(parameters, 'header', document, known),
        body: body.length === 0 ? fc.constant(null) : fc.oneof(...body),
      })
      .map(({ inPath, query, headers, body }): Call => {
        const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
          const [value] = inPath[name] ?? [];
          // An empty segment, or dots that a client takes away, make another path.
          const segment = value === undefined || /^\.{0,2}$/.test(value) ? 'x' : value.toWellFormed();
          return name === 'location' ? segment.replace(/[^\w./]/g, '~') : encodeURIComponent(segment);
        });
        const pairs = Object.entries(query).flatMap(([name, values]) =>
          values.map((value) => `${name}=${encodeURIComponent(value.toWellFormed())}`),
        );
        const sent = Object.entries(headers).flatMap(([name, [value]]): [string, string][] =>
          value === undefined ? [] : [[name, value.replace(/[^\x20-\x7e]/g, '?').trim()]],
        );
        return {
          method,
          path,
          target: `${filled}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`,
          headers: { ...Object.fromEntries(sent), ...(body === null ? {} : { 'content-type': body.type }) },
          body: body?.bytes ?? null,
          operation,
        };
      });
  });
  return fc.oneof(...calls);
}

function parametersArbitrary(
  parameters: readonly Parameter[],
  where: Parameter['in'],
  document: OpenApi,
  known: Known,
): Arbitrary<Record<string, string[]>> {
  const some = parameters.filter((parameter) => parameter.in === where);
  const arbitraries = some.map(({ name, required, schema }) => {
    const fitting = arbitraryOf(schema, document).map((value) => [value].flat().map(String));
    const existing = known[name] ?? [];
    const value = fc.oneof(
      { weight: 6, arbitrary: fitting },
      { weight: existing.length === 0 ? 0 : 12, arbitrary: fc.constantFrom(...existing, '').map((one) => [one]) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }).map((one) => [one]) },
    );
    return [name, required || where === 'path' ? value : fc.oneof(fc.constant<string[]>([]), value)] as const;
  });
  return fc.record(Object.fromEntries(arbitraries));
}

function bodyArbitrary(
  [type, { schema }]: [string, { readonly schema?: Schema }],
  document: OpenApi,
): Arbitrary<{ type: string; bytes: string | Uint8Array }> {
  const media = type === '*/*' ? 'text/plain' : type;
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 96 }), fc.string({ maxLength: 60 }));
  if (schema === undefined || !media.includes('json') || media.endsWith('ndjson')) {
    return bytes.map((some) => ({ type: media, bytes: some }));
  }
  return fc
    .oneof(
      { weight: 6, arbitrary: arbitraryOf(schema, document).map((value) => JSON.stringify(value) ?? 'null') },
      { weight: 1, arbitrary: fc.json() },
      { weight: 1, arbitrary: bytes },
    )
    .map((some) => ({ type: media, bytes: some }));
}

/** Values of a schema, as far as ours go. */
function arbitraryOf(schema: unknown, document: OpenApi): Arbitrary<unknown> {
  if (!isSchema(schema)) return fc.jsonValue();
  if (typeof schema.$ref === 'string') return arbitraryOf(resolve(schema.$ref, document), document);
  if ('const' in schema) return fc.constant(schema.const);
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum);
  const variants = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(variants)) return fc.oneof(...variants.map((variant) => arbitraryOf(variant, document)));
  switch (schema.type) {
    case 'string':
      return stringArbitrary(schema);
    case 'integer':
    case 'number': {
      const min = typeof schema.minimum === 'number' ? schema.minimum : -1_000;
      const max = typeof schema.maximum === 'number' ? schema.maximum : 1_000;
      return fc.oneof(fc.integer({ min, max: Math.min(max, min + 20) }), fc.integer({ min, max }));
    }
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(arbitraryOf(schema.items, document), { maxLength: 3 });
    case 'object':
      return objectArbitrary(schema, document);
    default:
      return fc.jsonValue();
  }
}

function stringArbitrary({ pattern, format, maxLength }: Schema): Arbitrary<string> {
  if (format === 'date-time') {
    return fc
      .date({ noInvalidDate: true, min: new Date('2000-01-01T00:00:00Z'), max: new Date('2100-01-01T00:00:00Z') })
      .map((date) => date.toISOString());
  }
  if (typeof pattern === 'string') return fc.stringMatching(new RegExp(pattern)).map((text) => text.slice(0, 1_000));
  return fc.string({ maxLength: typeof maxLength === 'number' ? Math.min(maxLength, 30) : 30 });
}

function objectArbitrary(schema: Schema, document: OpenApi): Arbitrary<unknown> {
  const required: readonly unknown[] = Array.isArray(schema.required) ? schema.required : [];
  const properties = isSchema(schema.properties) ? Object.entries(schema.properties) : [];
  return fc.record(Object.fromEntries(properties.map(([name, member]) => [name, arbitraryOf(member, document)])), {
    requiredKeys: properties.map(([name]) => name).filter((name) => required.includes(name)),
  });
}

function resolve(reference: string, document: OpenApi): Schema | undefined {
  return document.components.schemas[reference.slice(reference.lastIndexOf('/') + 1)];
}

/** A check of a schema of the document, in which objects have what is told of them and nothing else. */
export function checkOf(schema: Schema, document: OpenApi): z.ZodType {
  const exact = exactly({ ...schema, $defs: document.components.schemas });
  return z.fromJSONSchema(z.looseObject({}).parse(exact));
}

function exactly(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(exactly);
  if (!isSchema(value)) return value;
  const members = Object.entries(value).map(([key, member]) => [
    key,
    key === '$ref' ? String(member).replace('#/components/schemas/', '#/$defs/') : exactly(member),
  ]);
  const closed = value.type === 'object' && 'properties' in value && !('additionalProperties' in value);
  return { ...Object.fromEntries(members), ...(closed ? { additionalProperties: false } : {}) };
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
