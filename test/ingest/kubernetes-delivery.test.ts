import { expect, test } from 'vitest';
import { expectOnce, expectReceipts, exportedEvents } from '../support/audit-check.ts';
import { deliverAudit } from '../support/audit-delivery.ts';
import { auditEvents } from '../support/kubernetes-audit.ts';
import { testService } from '../support/service.ts';

// All of the receipts: test/scale/kubernetes.scale.ts.
test('10,000 events with retries and duplicates: each auditID and stage once, receipts verify', async () => {
  await using service = await testService();
  await service.send('PUT', '/v1/logs/audit');
  const events = auditEvents(10_000);
  const { requests, sent, lost, conflicting } = await deliverAudit(service, 'audit', events, 4);
  expect(lost).toBeGreaterThan(5);
  expect(conflicting).toBe(0);
  await service.closeRound();
  const exported = await exportedEvents(service, 'audit', '?receipts=false');
  expectOnce(exported, events);
  const key = String((await service.send('GET', '/v1/logs/audit')).at('verifierKey'));
  let verified = 0;
  for (const from of [0, 4_090, 9_950]) {
    const some = await exportedEvents(service, 'audit', `?from=${from}&to=${from + 20}`);
    verified += await expectReceipts(some, key);
  }
  expect(verified).toBe(60);
  console.log(
    `${requests} requests with ${sent} events, ${lost} answers lost: ${exported.length} entries, each (auditID, stage) once, ` +
      `${verified} receipts verified`,
  );
});
