import type { Router } from 'express';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { SYSTEM_LOG } from '../core/origin.ts';
import { formatTime } from '../core/time.ts';
import type { Head, Log } from '../log/log.ts';
import type { Gate } from './access.ts';
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
const createQuery = z.strictObject({ blinded: z.enum(['true', 'false'], 'not true or false').optional() });

/** Making, listing and describing logs. */
export function logRoutes(service: Service, gate: Gate): Router {
  const { registry } = service;
  const describe = async (log: Log & Head): Promise<object> => {
    const { verifierKey } = await registry.signer(log);
    return {
      name: log.name,
      origin: log.origin,
      logId: toHex(log.logId),
      verifierKey,
      blinded: log.blinded,
      createdAt: formatTime(log.createdAt),
      size: log.size,
      root: toHex(log.root),
    };
  };

  /** Of these logs those that exist, in the order of `registry.list`. */
  const listNamed = async (names: readonly string[], after: string, limit: number): Promise<(Log & Head)[]> => {
    const logs: (Log & Head)[] = [];
    for (const name of [...new Set(names)].sort().filter((name) => name > after)) {
      const log = await registry.find(name);
      if (log !== null) logs.push({ ...log, ...(await registry.head(log)) });
      if (logs.length === limit) break;
    }
    return logs;
  };

  return exactRouter()
    .get('/v1/logs', async (request, response) => {
      const allowed = await gate.admitSome(request, 'read');
      const { after, limit } = query(request, listQuery);
      // One more than asked for tells whether there is a next page.
      const found =
        allowed === null ? await registry.list(after, limit + 1) : await listNamed(allowed, after, limit + 1);
      const logs = found.slice(0, limit);
      await registry.prepareSigners(logs);
      const next = found.length > limit ? logs.at(-1)?.name : undefined;
      response.json({ logs: await Promise.all(logs.map(describe)), ...(next === undefined ? {} : { next }) });
    })
    .put('/v1/logs/:log', async (request, response) => {
      const name = pathLogName(request);
      await gate.admit(request, 'admin', name);
      const { blinded } = query(request, createQuery);
      // Whoever does not say how takes the log as it is.
      const found = blinded === undefined && name !== SYSTEM_LOG ? await registry.find(name) : null;
      const { log, created } =
        found === null ? await registry.create(name, { blinded: blinded !== 'false' }) : { log: found, created: false };
      response.status(created ? 201 : 200).location(`/v1/logs/${name}`);
      response.json(await describe({ ...log, ...(await registry.head(log)) }));
    })
    .get('/v1/logs/:log', async (request, response) => {
      // Who may append to a log may know whose key signs it; no digest is told here.
      await gate.admit(request, 'any', pathLogName(request));
      const log = await pathLog(request, registry);
      response.json(await describe({ ...log, ...(await registry.head(log)) }));
    });
}
