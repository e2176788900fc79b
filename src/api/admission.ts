import type { Request, Response } from 'express';
import type { Log } from '../log/log.ts';
import { type Caller, type Gate, ownerOf } from './access.ts';
import { type Arrival, noteArrival } from './arrival.ts';
import { pathLog, pathLogName } from './parameters.ts';
import { Problem } from './problem.ts';
import type { Service } from './service.ts';

/**
 * Who appends to which log. Requests without permission are refused before their body is read, and so are requests that
 * could not be appended now.
 * @throws Problem, AntequemError
 */
export async function admitAppend(
  request: Request,
  response: Response,
  service: Service,
  gate: Gate,
  { way, form = null }: Pick<Arrival, 'way'> & Partial<Pick<Arrival, 'form'>>,
): Promise<{ readonly caller: Caller; readonly log: Log; readonly key: string | null }> {
  const name = pathLogName(request);
  const arrival = noteArrival(response, { way, form, log: name, key: null });
  // Nothing is waited for that is known: each wait has a cost.
  const admitting = gate.admit(request, 'append', name);
  const caller = admitting instanceof Promise ? await admitting : admitting;
  const key = ownerOf(caller) || null;
  arrival.key = key;
  const finding = pathLog(request, service.registry);
  const log = finding instanceof Promise ? await finding : finding;
  if (log.id === service.registry.system.id) {
    throw new Problem('log-reserved', '_system is the log of the service itself: nobody else appends to it');
  }
  const refusal = service.appender.refusal(log);
  if (refusal !== null) throw refusal;
  return { caller, log, key };
}
