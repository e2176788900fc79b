import { Router } from 'express';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import type { Head, Log } from '../log/log.ts';
import type { Gate } from './access.ts';
import { limitText, pathLog, pathLogName, query } from './parameters.ts';
import type { Service } from './service.ts';

const listQuery = z.object({ after: z.string().max(64).default(''), limit: limitText(1_000) });
const createQuery = z.object({ blinded: z.enum(['true', 'false']).default('true') });

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

  return Router()
    .get('/v1/logs', async (request, response) => {
      const caller = await gate.caller(request);
      const allowed = caller === 'anyone' ? null : caller.logs;
      if (allowed === null) await gate.admit(request, 'read', null);
      const { after, limit } = query(request, listQuery);
      const logs = await registry.list(after, limit);
      await registry.prepareSigners(logs);
      const visible = logs.filter((log) => allowed === null || allowed.includes(log.name));
      const next = logs.length === limit ? logs.at(-1)?.name : undefined;
      response.json({ logs: await Promise.all(visible.map(describe)), ...(next === undefined ? {} : { next }) });
    })
    .put('/v1/logs/:log', async (request, response) => {
      const name = pathLogName(request);
      await gate.admit(request, 'admin', name);
      const { blinded } = query(request, createQuery);
      const { log, created } = await registry.create(name, { blinded: blinded === 'true' });
      response.status(created ? 201 : 200).location(`/v1/logs/${name}`);
      response.json(await describe({ ...log, ...(await registry.head(log)) }));
    })
    .get('/v1/logs/:log', async (request, response) => {
      await gate.admit(request, 'read', pathLogName(request));
      const log = await pathLog(request, registry);
      response.json(await describe({ ...log, ...(await registry.head(log)) }));
    });
}
