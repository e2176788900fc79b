import type { Router } from 'express';
import { z } from 'zod';
import { type LogCoverage, readCoverage } from '../anchor/coverage.ts';
import { toHex } from '../core/bytes.ts';
import { ML_DSA_44_COSIGNATURE } from '../core/cosignature.ts';
import { FormatError } from '../core/errors.ts';
import { formatVerifierKey } from '../core/note.ts';
import { SYSTEM_LOG } from '../core/origin.ts';
import { formatTime } from '../core/time.ts';
import { readListed, setListed } from '../log/listing.ts';
import type { Log, LogHead } from '../log/log.ts';
import type { Gate } from './access.ts';
import { type BodyBudget, bodyJson, bodyReader } from './body.ts';
import { described, jsonAnswer } from './description.ts';
import { countForm, hashForm, originForm, timeForm } from './forms.ts';
import { limitText, pathLog, pathLogName, query } from './parameters.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const listQuery = z.strictObject({
  after: z
    .string()
    .regex(/^[a-z0-9._-]{0,63}$/, 'not the name of a log')
    .default(''),
  limit: limitText(1_000),
});
const createBody = z.strictObject({ blinded: z.boolean().optional() });
const listedBody = z.strictObject({ listed: z.boolean() });
const createQuery = z.strictObject({ blinded: z.enum(['true', 'false'], 'not true or false').optional() });

const logForm = z
  .object({
    name: z.string(),
    origin: originForm,
    logId: hashForm.meta({ description: 'SHA-256 of the origin.' }),
    verifierKey: z.string().meta({ description: 'C2SP signed-note key that its checkpoints verify with: the newest.' }),
    verifierKeys: z
      .array(z.string())
      .nonempty()
      .meta({ description: 'All keys that sign it now, the oldest first: several while keys are rotated.' }),
    mlDsaKeys: z
      .array(z.string())
      .meta({ description: 'Keys of ML-DSA-44 (C2SP tlog-cosignature) that sign it beside them, if the log does so.' }),
    coseKeys: z
      .array(z.string())
      .nonempty()
      .meta({ description: 'Beside each of them its key for COSE receipts; the first one signs them.' }),
    blinded: z.boolean().meta({ description: 'Whether entries have nonces.' }),
    listed: z.boolean().meta({ description: 'Whether its name and keys are shown to anybody.' }),
    createdAt: timeForm,
    size: countForm,
    root: hashForm,
    anchored: z
      .object({ size: countForm, round: countForm, status: z.enum(['included', 'finalized']), time: timeForm })
      .optional()
      .meta({ description: 'As far as any of it is in a block.' }),
  })
  .meta({ id: 'Log' });

const listLogs = described({
  id: 'listLogs',
  tag: 'Logs',
  summary: 'List logs',
  description: 'By name; a key for some logs lists those.',
  access: 'read',
  query: listQuery,
  answers: {
    200: jsonAnswer(
      'A page; `next` is the `after` of the page behind it.',
      z.object({ logs: z.array(logForm), next: z.string().optional() }),
    ),
  },
});

const createLog = described({
  id: 'createLog',
  tag: 'Logs',
  summary: 'Create a log',
  description:
    'Or find it there: doing it again changes nothing. What it is called and whether it is blinded is fixed for ever.',
  access: 'admin',
  query: createQuery,
  body: { 'application/json': createBody },
  bodyOptional: true,
  answers: {
    200: jsonAnswer('It was there.', logForm),
    201: { ...jsonAnswer('It was made.', logForm), headers: { Location: 'Its path.' } },
  },
  problems: ['clock-skew', 'database-set-back', 'json-invalid', 'log-exists', 'log-invalid', 'log-reserved'],
});

const describeLog = described({
  id: 'describeLog',
  tag: 'Logs',
  summary: 'Describe a log',
  access: 'any',
  answers: { 200: jsonAnswer('The log as it is now.', logForm) },
  problems: ['log-not-found'],
});

const listLog = described({
  id: 'setListed',
  tag: 'Logs',
  summary: 'Show a log to anybody, or stop that',
  description:
    'The name and the keys of a listed log are shown without a key, in `/.well-known/scitt-keys` and ' +
    '`/.well-known/witness-logs`. No log is listed until this is asked for; `_system` records each change.',
  access: 'admin',
  body: { 'application/json': listedBody },
  answers: { 200: jsonAnswer('The log as it is now.', logForm) },
  problems: ['clock-skew', 'database-set-back', 'json-invalid', 'listed-full', 'log-invalid', 'log-not-found'],
});

/** Making, listing and describing logs. */
export function logRoutes(service: Service, gate: Gate, budget: BodyBudget): Router {
  const readBody = bodyReader(1_024, budget);
  const { registry, database, appender } = service;
  /** `anchored` as far as any of it is in a block. */
  const describe = async (log: Log & LogHead, anchored: LogCoverage | undefined, listed: boolean): Promise<object> => {
    const signers = await registry.signers(log);
    const verifierKeys = signers.map(({ verifierKey }) => verifierKey);
    return {
      name: log.name,
      origin: log.origin,
      logId: toHex(log.logId),
      verifierKey: verifierKeys.at(-1),
      verifierKeys,
      mlDsaKeys: signers.flatMap(({ verifiers }) =>
        verifiers.flatMap(({ type, name, publicKey }) =>
          type === ML_DSA_44_COSIGNATURE ? [formatVerifierKey(name, publicKey, type)] : [],
        ),
      ),
      coseKeys: signers.map(({ cose }) => cose.verifierKey),
      blinded: log.blinded,
      listed,
      createdAt: formatTime(log.createdAt),
      size: log.size,
      root: toHex(log.root),
      ...(anchored === undefined ? {} : { anchored }),
    };
  };
  const describeOne = async (log: Log): Promise<object> => {
    const head = await registry.head(log);
    const [coverage, listed] = await Promise.all([readCoverage(database, [log.id]), readListed(database, [log.id])]);
    return describe({ ...log, ...head }, coverage.get(log.id), listed.has(log.id));
  };

  /** Of these logs those that exist, in the order of `registry.list`. */
  const listNamed = async (names: readonly string[], after: string, limit: number): Promise<(Log & LogHead)[]> => {
    const logs: (Log & LogHead)[] = [];
    for (const name of [...new Set(names)].sort().filter((name) => name > after)) {
      const log = await registry.find(name);
      if (log !== null) logs.push({ ...log, ...(await registry.head(log)) });
      if (logs.length === limit) break;
    }
    return logs;
  };

  return exactRouter()
    .get('/v1/logs', listLogs, async (request, response) => {
      const allowed = await gate.admitSome(request, 'read');
      const { after, limit } = query(request, listQuery);
      // One more than asked for tells whether there is a next page.
      const found =
        allowed === null ? await registry.list(after, limit + 1) : await listNamed(allowed, after, limit + 1);
      const logs = found.slice(0, limit);
      await registry.prepareSigners(logs);
      const ids = logs.map(({ id }) => id);
      const [coverage, listed] = await Promise.all([readCoverage(database, ids), readListed(database, ids)]);
      const next = found.length > limit ? logs.at(-1)?.name : undefined;
      response.json({
        logs: await Promise.all(logs.map((log) => describe(log, coverage.get(log.id), listed.has(log.id)))),
        ...(next === undefined ? {} : { next }),
      });
    })
    .put('/v1/logs/:log', createLog, async (request, response) => {
      const name = pathLogName(request);
      await gate.admit(request, 'admin', name);
      const blinded = blindedOf(query(request, createQuery).blinded, await readBody(request, response));
      // A request that does not say how takes the log as it is.
      const found = blinded === undefined && name !== SYSTEM_LOG ? await registry.find(name) : null;
      const { log, created } =
        found === null ? await registry.create(name, { blinded: blinded !== false }) : { log: found, created: false };
      response.status(created ? 201 : 200).location(`/v1/logs/${name}`);
      response.json(await describeOne(log));
    })
    .put('/v1/logs/:log/listed', listLog, async (request, response) => {
      await gate.admit(request, 'admin', pathLogName(request));
      const log = await pathLog(request, registry);
      const body = listedBody.safeParse(bodyJson(await readBody(request, response)));
      if (!body.success) throw new FormatError('log-invalid', 'the body is not {"listed": true} or {"listed": false}');
      await setListed(database, registry.system, appender.sequencing, log, body.data.listed);
      response.json(await describeOne(log));
    })
    .get('/v1/logs/:log', describeLog, async (request, response) => {
      // A key that may append to a log may see which key signs it; no digest is shown here.
      await gate.admit(request, 'any', pathLogName(request));
      const log = await pathLog(request, registry);
      response.json(await describeOne(log));
    });
}

/**
 * What a request asks for, by its query or by a body of JSON; undefined: nothing.
 * @throws FormatError `json-invalid`, `log-invalid`
 */
function blindedOf(asked: 'true' | 'false' | undefined, body: Uint8Array): boolean | undefined {
  const inQuery = asked === undefined ? undefined : asked === 'true';
  if (body.length === 0) return inQuery;
  const parsed = createBody.safeParse(bodyJson(body));
  if (!parsed.success) throw new FormatError('log-invalid', 'the body is not {"blinded": true} or {"blinded": false}');
  const inBody = parsed.data.blinded;
  if (inQuery !== undefined && inBody !== undefined && inQuery !== inBody) {
    throw new FormatError('log-invalid', 'the query and the body ask for different values of blinded');
  }
  return inBody ?? inQuery;
}
