import { expect, test } from 'vitest';
import { expectOnce, expectReceipts, exportedEvents } from '../support/audit-check.ts';
import { deliverAudit } from '../support/audit-delivery.ts';
import { auditEvents } from '../support/kubernetes-audit.ts';
import { testService } from '../support/service.ts';

test('10,000 events with retries and duplicates: all receipts verify', async () => {
  await using service = await testService();
  await service.send('PUT', '/v1/logs/audit');
  const events = auditEvents(10_000);
  const { requests, sent, lost } = await deliverAudit(service, 'audit', events, 4);
  await service.closeRound();
  const began = performance.now();
  const exported = await exportedEvents(service, 'audit', '');
  const seconds = (performance.now() - began) / 1_000;
  expectOnce(exported, events);
  const key = String((await service.send('GET', '/v1/logs/audit')).at('verifierKey'));
  const verified = await expectReceipts(exported, key);
  expect(verified).toBe(10_000);
  console.log(
    `${requests} requests with ${sent} events, ${lost} answers lost: ${exported.length} entries, each (auditID, stage) once; ` +
      `exported with receipts in ${seconds.toFixed(1)} s, ${verified} verified`,
  );
});
