import type { Request } from 'express';
import type { Log } from '../log/log.ts';
import type { Caller, Gate } from './access.ts';
import { pathLog, pathLogName } from './parameters.ts';
import { Problem } from './problem.ts';
import type { Service } from './service.ts';

/** Who appends to which log, before a body is read: who may not does not get to send one, nor does anybody in vain. */
export async function admitAppend(
  request: Request,
  service: Service,
  gate: Gate,
): Promise<{ readonly caller: Caller; readonly log: Log }> {
  const caller = await gate.admit(request, 'append', pathLogName(request));
  const log = await pathLog(request, service.registry);
  if (log.id === service.registry.system.id) {
    throw new Problem('log-reserved', '_system is the log of the service itself: nobody else appends to it');
  }
  const refusal = service.appender.refusal(log);
  if (refusal !== null) throw refusal;
  return { caller, log };
}
