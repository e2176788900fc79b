import { expect } from 'vitest';
import { verifyReceipt } from '../../src/verify/receipt.ts';
import type { AuditEvent } from './kubernetes-audit.ts';
import type { TestService } from './service.ts';

export interface ExportedEvent {
  readonly index: number;
  readonly payload: { readonly text: string };
  readonly receipt?: unknown;
}

/** The lines of an export, which must be in the order of the log and without gaps. */
export async function exportedEvents(service: TestService, log: string, query: string): Promise<ExportedEvent[]> {
  const { text } = await service.send('GET', `/v1/logs/${log}/export${query}`);
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line): ExportedEvent => JSON.parse(line));
}

/** Each of the events stands there once, and nothing else does. */
export function expectOnce(exported: readonly ExportedEvent[], events: readonly AuditEvent[]): void {
  const places = exported.map(({ payload }) => {
    const { auditID, stage }: { auditID: string; stage: string } = JSON.parse(payload.text);
    return `${auditID} ${stage}`;
  });
  expect(exported.every(({ index }, i) => index === i)).toBe(true);
  const sent = events.map(({ auditID, stage }) => `${auditID} ${stage}`);
  expect([places.length, new Set(places).size]).toEqual([sent.length, new Set(sent).size]);
  expect(places.sort().join('\n') === sent.sort().join('\n')).toBe(true);
}

/** The receipts prove what can be proven without a chain. Returns how many there were. */
export async function expectReceipts(exported: readonly ExportedEvent[], key: string): Promise<number> {
  let verified = 0;
  for (const { payload, receipt } of exported) {
    const { result, claims } = await verifyReceipt({ receipt, payload: Buffer.from(payload.text) }, { key });
    const held = claims.filter(({ status }) => status === 'verified').map(({ claim }) => claim);
    expect([result, held]).toEqual([
      'unproven',
      expect.arrayContaining(['content', 'position', 'checkpoint', 'round']),
    ]);
    verified++;
  }
  return verified;
}
