import { once } from 'node:events';
import type { Response, Router } from 'express';
import { z } from 'zod';
import { checkpointGone } from '../anchor/receipts.ts';
import type { Log } from '../log/log.ts';
import type { Checkpoints, Published } from '../log/publish.ts';
import { rangeOf } from '../log/search.ts';
import type { Gate } from './access.ts';
import { described } from './description.ts';
import { indexText, pathLog, pathLogName, query } from './parameters.ts';
import { Problem } from './problem.ts';
import type { ExportedLines, UnsignedSizes } from './readings.ts';
import { exactRouter } from './routing.ts';
import { criteriaOf, criteriaQuery } from './search.ts';
import type { Service } from './service.ts';

const MAX_EXPORTS = 8;
/** Milliseconds that a reader may take nothing. */
const PATIENCE = 60_000;

const exportQuery = z.strictObject({
  from: indexText.default(0).meta({ description: 'The first index.' }),
  to: indexText.optional().meta({ description: 'The index behind the last; by default the size of the log now.' }),
  ...criteriaQuery,
  receipts: z.enum(['true', 'false'], 'not true or false').default('true').meta({ description: 'With receipts.' }),
});

const exportOperation = described({
  id: 'exportEntries',
  tag: 'Entries',
  summary: 'Export entries with their receipts',
  description:
    'One JSON object a line, in the order of the log: the entry with its `payload` and, unless `receipts=false`, the ' +
    '`receipt` as far as it has come; null where the entry was erased. A stream cut short ends without the last chunk, which ' +
    'HTTP clients report: go on with `from` behind the last line that is whole.',
  access: 'read',
  query: exportQuery,
  answers: { 200: { says: 'The entries as they are read.', content: { 'application/x-ndjson': 'text' } } },
  problems: ['archive-damaged', 'archive-unavailable', 'log-not-found', 'overloaded'],
});

/** Entries as a stream, as fast as it is read and no faster. */
export function exportRoutes(service: Service, gate: Gate): Router {
  const { registry, entries, readings, checkpoints, logger } = service;
  let exports = 0;
  return exactRouter().get('/v1/logs/:log/export', exportOperation, async (request, response) => {
    await gate.admit(request, 'read', pathLogName(request));
    const log = await pathLog(request, registry);
    const { from, to, receipts, ...asked } = query(request, exportQuery);
    const criteria = criteriaOf(asked);
    const { size } = await registry.head(log);
    const range = await rangeOf(entries, log, criteria, Math.min(from, size), Math.min(to ?? size, size));
    if (exports >= MAX_EXPORTS) {
      throw new Problem('overloaded', 'too many exports are under way: try again in a moment', {
        'Retry-After': '5',
      });
    }
    exports++;
    response.type('application/x-ndjson').setTimeout(PATIENCE, () => response.destroy());
    if (request.method === 'HEAD') range.end = range.from;
    let checkpoint: Published | null = null;
    const read = (from: number): Promise<ExportedLines | UnsignedSizes | null> =>
      readings.lines({ log, criteria, from, end: range.end, receipts: receipts === 'true', checkpoint });
    try {
      let reading = range.from < range.end ? read(range.from) : null;
      for (let from = range.from; reading !== null; ) {
        const lines = await reading;
        // A client that closed the connection gets nothing more.
        if (service.stopping.aborted || response.destroyed) return void response.destroy();
        if (lines === null) {
          checkpoint = await checkpoints.covering(log, range.end - 1);
          reading = read(from);
          continue;
        }
        if ('unsigned' in lines) {
          await Promise.all(lines.unsigned.map((size) => signedAt(checkpoints, log, size)));
          reading = read(from);
          continue;
        }
        from = lines.next ?? range.end;
        reading = from < range.end ? read(from) : null;
        // Read while these are written. That it fails is told when it is waited for.
        reading?.catch(() => {});
        await write(response, lines.text);
      }
      response.end();
    } catch (error) {
      // A stream that ends in the middle must look like it.
      if (!response.headersSent) throw error;
      logger.error({ err: error, log: log.name }, 'an export failed');
      response.destroy();
    } finally {
      exports--;
    }
  });
}

async function signedAt(checkpoints: Checkpoints, log: Log, size: number): Promise<void> {
  if ((await checkpoints.at(log, size)) === null) throw checkpointGone(log, size);
}

/** Writes, then waits until there is room again or the client has left. */
async function write(response: Response, bytes: Uint8Array): Promise<void> {
  if (response.destroyed || response.write(bytes)) return;
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  response.once('close', leave);
  try {
    await once(response, 'drain', { signal: gone.signal });
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  } finally {
    response.off('close', leave);
  }
}
