import type { Metrics } from '../metrics/metrics.ts';
import type { Arrival } from './arrival.ts';
import type { Ingestion } from './event-commits.ts';
import type { Warnings } from './warnings.ts';

/** Counts and warns of what an operator should know of the events of a request. */
export function tellIngestion(
  { index, conflicting, setAside, digestOnly }: Ingestion,
  { way, log, key }: Pick<Arrival, 'way' | 'log' | 'key'>,
  metrics: Metrics,
  warnings: Warnings,
): void {
  if (conflicting > 0) {
    const says = 'events came with other content under ids that the log knew';
    warnings.warn(`conflicting ${way} ${log} ${key ?? ''}`, { way, log, key, conflicting, index }, says);
  }
  for (const [reason, items] of setAside) {
    metrics.setAside(way, reason, items);
    const says = 'items that could not be made canonical were set aside: they are logged as they came';
    warnings.warn(`set aside ${way} ${log} ${key ?? ''} ${reason}`, { way, log, key, reason, items, index }, says);
  }
  if (digestOnly > 0) {
    metrics.digestOnly(way, digestOnly);
    const says = 'events larger than an entry were logged by digest alone';
    warnings.warn(`digest only ${way} ${log} ${key ?? ''}`, { way, log, key, digestOnly, index }, says);
  }
}
