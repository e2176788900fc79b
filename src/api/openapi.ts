import type { Router } from 'express';
import { z } from 'zod';
import { AntequemError } from '../core/errors.ts';
import { PROBLEM_STATUS, type ProblemCode } from '../core/problem-codes.ts';
import { type Answer, type Content, type Description, descriptionOf, PATH_PARAMETERS, TAGS } from './description.ts';

/** JSON Schema, draft 2020-12. */
export type Schema = Readonly<Record<string, unknown>>;

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly description?: string;
  readonly schema: Schema;
}

export interface ContentMap {
  readonly [mediaType: string]: { readonly schema?: Schema };
}

export interface ResponseObject {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly description: string; readonly schema: Schema }>>;
  readonly content?: ContentMap;
}

export interface OperationObject {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: ContentMap };
  readonly responses: Readonly<Record<string, ResponseObject>>;
  /** The scope that the API key needs. */
  readonly 'x-scope'?: string;
}

/** An OpenAPI 3.1 document, as far as ours goes. */
export interface OpenApi {
  readonly openapi: '3.1.0';
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly securitySchemes: Readonly<Record<string, object>>;
  };
}

const problem = z
  .object({
    type: z.string().meta({ description: '`urn:antequem:problem:` and the code.' }),
    title: z.string(),
    status: z.int().min(400).max(599),
    code: z.string().meta({ description: 'Stable, there to be switched on; docs/problems.md explains each.' }),
    detail: z.string().meta({ description: 'A sentence for people: what was wrong, and what to do.' }),
    requestId: z.string().optional().meta({ description: 'The id of the request in the log: its `X-Request-Id`.' }),
  })
  .meta({ id: 'Problem', description: 'What a request that fails is answered with (RFC 9457).' });

/** The document of all routes of these routers. @throws AntequemError `internal` for a route that is not described */
export function openApi(routers: readonly Router[]): OpenApi {
  const schemas = new Schemas();
  const paths: Record<string, Record<string, OperationObject>> = {};
  for (const { path, method, described } of routes(routers)) {
    const key = path.replace(/[:*](\w+)/g, '{$1}');
    paths[key] ??= {};
    paths[key][method] = operationObject(path, described, schemas);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Antequem',
      version: '1',
      description:
        'Append entries to tamper-evident logs, get receipts that prove when they existed. ' +
        'Keys go into `Authorization: Bearer aq_…`; in local mode none is asked for. Every GET answers HEAD too. ' +
        'A 4xx has written nothing; after a 5xx send an append again with the same `Idempotency-Key`.',
    },
    servers: [{ url: '/' }],
    tags: TAGS.map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: schemas.named,
      securitySchemes: { apiKey: { type: 'http', scheme: 'bearer', description: 'An API key, `aq_…`.' } },
    },
  };
}

function routes(routers: readonly Router[]): { path: string; method: string; described: Description }[] {
  return routers.flatMap((router) =>
    router.stack.flatMap(({ route }) => {
      if (route === undefined) return [];
      const methods = [...new Set(route.stack.map(({ method }) => method))];
      return methods.map((method) => {
        const handlers = route.stack
          .filter((layer) => layer.method === method)
          .map(({ handle }) => descriptionOf(handle));
        const described = handlers.find((found) => found !== undefined);
        if (described === undefined) {
          const where = `${method.toUpperCase()} ${route.path}`;
          throw new AntequemError('internal', `${where} is not described: put described({ … }) before its handler`);
        }
        return { path: route.path, method, described };
      });
    }),
  );
}

function operationObject(path: string, described: Description, schemas: Schemas): OperationObject {
  const { id, tag, summary, description, access, body } = described;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    security: access === 'public' ? [] : [{ apiKey: [] }],
    ...(access === 'public' || access === 'any' ? {} : { 'x-scope': access }),
    parameters: [
      ...pathParameters(path, described, schemas),
      ...objectParameters('query', described.query, schemas),
      ...objectParameters('header', described.headers, schemas),
    ],
    ...(body === undefined
      ? {}
      : { requestBody: { required: described.bodyOptional !== true, content: contentMap(body, schemas) } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(described.answers).map(([status, answer]) => [status, responseObject(answer, schemas)]),
      ),
      ...problemResponses(problemsOf(path, described), described.problemsAs ?? {}, schemas),
    },
  };
}

function pathParameters(path: string, described: Description, schemas: Schemas): Parameter[] {
  return [...path.matchAll(/[:*](\w+)/g)].map(([, name = '']) => {
    const schema = described.path?.[name] ?? PATH_PARAMETERS[name];
    if (schema === undefined) {
      throw new AntequemError(
        'internal',
        `the parameter ${name} of ${path} is not described: give its operation a path`,
      );
    }
    return parameter(name, 'path', true, schemas.of(schema));
  });
}

function objectParameters(where: 'query' | 'header', object: z.ZodObject | undefined, schemas: Schemas): Parameter[] {
  if (object === undefined) return [];
  return Object.entries(object.shape).map(([name, schema]) =>
    parameter(name, where, !z.safeParse(schema, undefined).success, schemas.of(schema)),
  );
}

function parameter(name: string, where: Parameter['in'], required: boolean, schema: Schema): Parameter {
  const { description, ...rest } = schema;
  return { name, in: where, required, ...(typeof description === 'string' ? { description } : {}), schema: rest };
}

function contentMap(content: Readonly<Record<string, Content>>, schemas: Schemas): ContentMap {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => {
      const media = type === '*' ? '*/*' : type;
      // OpenAPI 3.1: no schema stands for bytes.
      if (schema === 'bytes') return [media, {}];
      return [media, { schema: schema === 'text' ? { type: 'string' } : schemas.of(schema) }];
    }),
  );
}

function responseObject(answer: Answer, schemas: Schemas): ResponseObject {
  const headers = Object.entries(answer.headers ?? {});
  return {
    description: answer.says,
    ...(headers.length === 0
      ? {}
      : {
          headers: Object.fromEntries(
            headers.map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
          ),
        }),
    ...(answer.content === undefined ? {} : { content: contentMap(answer.content, schemas) }),
  };
}

/** What a route can be answered with by its form alone, and what it says besides. */
function problemsOf(path: string, described: Description): ProblemCode[] {
  const { access, body, query, problems = [] } = described;
  const of = (applies: boolean, ...codes: ProblemCode[]): ProblemCode[] => (applies ? codes : []);
  return [
    ...new Set([
      ...problems,
      ...of(true, 'request-invalid', 'internal', 'database-unavailable'),
      ...of(access !== 'public', 'unauthorized', 'forbidden', 'rate-limited'),
      ...of(/^\/(v1\/|digest$)/.test(path), 'host-forbidden', 'site-forbidden'),
      ...of(query !== undefined, 'query-invalid'),
      ...of(path.includes(':log'), 'log-name-invalid'),
      ...of(/:(index|number)\b/.test(path), 'path-invalid'),
      ...of(body !== undefined, 'body-too-large', 'encoding-unsupported', 'overloaded'),
    ]),
  ].sort();
}

function problemResponses(
  codes: readonly ProblemCode[],
  also: Readonly<Record<string, Content>>,
  schemas: Schemas,
): Record<string, ResponseObject> {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) byStatus.set(PROBLEM_STATUS[code], [...(byStatus.get(PROBLEM_STATUS[code]) ?? []), code]);
  const schema = schemas.of(problem);
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      status,
      {
        description: some.map((code) => `\`${code}\``).join(', '),
        content: {
          'application/problem+json': {
            schema: { allOf: [schema, { type: 'object', properties: { code: { enum: some } } }] },
          },
          ...contentMap(also, schemas),
        },
      },
    ]),
  );
}

/** Makes JSON Schemas of zod's; those with an id are written down once and referred to. */
class Schemas {
  readonly named: Record<string, Schema> = {};

  of(schema: z.core.$ZodType): Schema {
    const { $schema: _, $defs, ...made } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
    for (const [name, definition] of Object.entries($defs ?? {})) this.named[name] ??= tidied(definition);
    return tidied(made);
  }
}

/** References to where the document has them; a number that arrives as text is described as a number. */
function tidied(schema: object): Schema {
  const numeric = 'type' in schema && schema.type === 'integer';
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => !(numeric && key === 'pattern'))
      .map(([key, member]: [string, unknown]) => [key, tidiedMember(key, member)]),
  );
}

function tidiedMember(key: string, member: unknown): unknown {
  if (key === '$ref' && typeof member === 'string') return member.replace('#/$defs/', '#/components/schemas/');
  if (Array.isArray(member)) return member.map((element: unknown) => tidiedMember('', element));
  return typeof member === 'object' && member !== null ? tidied(member) : member;
}
