import type { Request, Response, Router } from 'express';
import type { z } from 'zod';
import { AntequemError } from '../core/errors.ts';
import type { Log } from '../log/log.ts';
import { SourceActivity } from '../sources/activity.ts';
import { eventDrafts, readBody } from '../sources/events.ts';
import type { Head, SenderReply } from '../sources/scheme.ts';
import type { OpenSource, Sources } from '../sources/sources.ts';
import { noteArrival } from './arrival.ts';
import { contentEncoding, decompressed, mediaType, sentBody } from './body.ts';
import { commitEvents } from './event-commits.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import { deliverOperation, greetOperation, type receivedForm } from './source-forms.ts';
import { SourceLimits } from './source-limits.ts';
import { tellIngestion, type Warnings } from './warnings.ts';

const MAX_BODY_BYTES = 25 << 20;
const FAULTS: ReadonlySet<string> = new Set(['signature-missing', 'signature-invalid', 'signature-late']);
/** Besides: anybody can have the service ask its sender for keys and certificates. */
const COUNTED: ReadonlySet<string> = new Set([...FAULTS, 'sender-unreachable']);

/** Signed webhooks as their senders send them. Nobody is known before the signature was checked. */
export function sourceDeliveryRoutes(service: Service, warnings: Warnings): Router {
  const { sources, appender, outside, now } = service;
  const { metrics } = service.operation;
  const limits = new SourceLimits(() => performance.now());
  const activity = new SourceActivity(service.database, now);

  const deliver = async (
    request: Request,
    response: Response,
    open: OpenSource,
    log: Log,
  ): Promise<SenderReply | z.input<typeof receivedForm>> => {
    const { source, check, secrets } = open;
    const address = addressOf(request);
    const head = headOf(request);
    const grounds = { secrets, now: now(), outside };
    const encoding = contentEncoding(request);
    await check.admit?.(head, grounds);
    const sent = await sentBody(request, MAX_BODY_BYTES, limits.open(source.id, address, response));
    const probe = check.probe?.({ ...head, body: sent }) ?? null;
    if (probe !== null) {
      metrics.sourceRequest(source.name, 'answered');
      return probe;
    }
    const verified = await check.verify({ ...head, body: sent }, grounds);
    await charge(service, source.id);
    const account = limits.open(source.id, address, response);
    const plain = encoding === null ? sent : await decompressed(sent, encoding, MAX_BODY_BYTES, account);
    const body = readBody(sent, plain, encoding, mediaType(request));
    const reply = (await check.control?.(head, body.event, grounds)) ?? null;
    activity.received(source.id);
    if (reply !== null) {
      metrics.sourceRequest(source.name, 'answered');
      return reply;
    }
    const ingestion = await commitEvents(appender, log, eventDrafts(source, verified, check, body));
    tellIngestion(ingestion, { way: 'source', log: log.name, key: source.name }, metrics, warnings);
    const { count, index, repeated } = ingestion;
    metrics.sourceRequest(source.name, count === 0 && repeated > 0 ? 'repeated' : 'logged');
    return { count, index, repeated };
  };

  return exactRouter()
    .post('/v1/sources/:source', deliverOperation, async (request, response) => {
      const id = String(request.params.source);
      const address = addressOf(request);
      noteArrival(response, { way: 'source', form: null, log: '', key: null });
      const open = await sources.find(id);
      if (open === null) {
        limits.admit('', address);
        limits.failed('', address);
        throw new Problem('source-not-found', 'there is no such source: it may have been removed');
      }
      const { source } = open;
      response.set({ ...open.check.answerHeaders });
      noteArrival(response, { way: 'source', form: null, log: source.log, key: source.name });
      limits.admit(source.id, address);
      const log = await service.registry.find(source.log);
      if (log === null) throw new Problem('log-not-found', `there is no log ${source.log}`);
      const refusal = appender.refusal(log);
      if (refusal !== null) throw refusal;
      try {
        const answer = await deliver(request, response, open, log);
        if ('body' in answer) sendReply(response, answer);
        else response.json(answer);
      } catch (error) {
        if (error instanceof AntequemError && COUNTED.has(error.code)) limits.failed(source.id, address);
        if (error instanceof AntequemError && FAULTS.has(error.code)) {
          activity.refused(source.id, error.code);
          metrics.sourceRequest(source.name, error.code);
        }
        throw error;
      }
    })
    .options('/v1/sources/:source', greetOperation, async (request, response) => {
      response.set('Allow', 'DELETE, GET, HEAD, OPTIONS, POST');
      const greeting = await greetingOf(request, response, sources);
      if (greeting === null) response.status(204).end();
      else sendReply(response, greeting);
    });
}

/** What a sender that asks whether it may send is answered; null: it does not ask, or nobody answers here. */
export async function greetingOf(request: Request, response: Response, sources: Sources): Promise<SenderReply | null> {
  const check = await sources.checkOf(String(request.params.source));
  response.set({ ...check?.answerHeaders });
  return check?.greet?.(headOf(request)) ?? null;
}

export function sendReply(response: Response, { headers = {}, body }: SenderReply): void {
  response.set(headers);
  if (body === null) response.status(204).end();
  else response.json(body);
}

function addressOf(request: Request): string {
  return request.ip ?? '';
}

function headOf(request: Request): Head {
  // Without a prototype: a source may be set up with a header of any name.
  const strings = (values: object): Record<string, string> => {
    const found: Record<string, string> = Object.create(null);
    for (const [name, value] of Object.entries(values)) if (typeof value === 'string') found[name] = value;
    return found;
  };
  return { method: request.method, headers: strings(request.headers), query: strings(request.query) };
}

/** Counts a request against what a source may ask, as an API key's does. A sender that is told 429 may drop the event. */
async function charge({ quota }: Pick<Service, 'quota'>, source: string): Promise<void> {
  if (quota === null) return;
  const { allowed, resets } = await quota.take(`source ${source}`);
  if (allowed) return;
  const seconds = Math.max(1, Math.ceil(resets / 1_000));
  throw new Problem('overloaded', 'this source sends more than the quota permits', { 'Retry-After': String(seconds) });
}
