import { setTimeout as sleep } from 'node:timers/promises';
import { AUDIT_HEADERS, AUDIT_QUERY, type AuditEvent, auditBatches, eventList } from './kubernetes-audit.ts';
import type { TestService } from './service.ts';

/** What went over the wire, and how often it was for nothing. */
export interface Delivery {
  requests: number;
  /** Answers that the sender did not live to see. */
  lost: number;
  sent: number;
  logged: number;
  repeated: number;
  conflicting: number;
}

/**
 * Delivers events as an API server with an unreliable network does: several batches under way, every third answer lost
 * and its batch sent again, every fifth batch sent twice, and each batch led by some events of the one before.
 */
export async function deliverAudit(
  service: TestService,
  log: string,
  events: readonly AuditEvent[],
  senders: number,
): Promise<Delivery> {
  const total: Delivery = { requests: 0, lost: 0, sent: 0, logged: 0, repeated: 0, conflicting: 0 };
  const batches = auditBatches(events).map((batch, i) => {
    const before = events.slice(Math.max(0, i * batch.length - 20), i * batch.length);
    return [...before, ...batch].slice(0, 400);
  });
  // What an overlap pushed out of a batch comes by itself.
  const rest = auditBatches(events).flatMap((batch, i) => (i === 0 ? [] : batch.slice(-20)));
  const queue = [...batches, ...auditBatches(rest)].flatMap((batch, i) => (i % 5 === 0 ? [batch, batch] : [batch]));

  const post = async (batch: readonly AuditEvent[], lose: boolean): Promise<boolean> => {
    const giveUp = new AbortController();
    const answer = service.send('POST', `/v1/logs/${log}/ingest/kubernetes-audit${AUDIT_QUERY}`, {
      body: eventList(batch),
      headers: AUDIT_HEADERS,
      signal: giveUp.signal,
    });
    total.requests++;
    total.sent += batch.length;
    if (lose) {
      answer.catch(() => {});
      await sleep(15);
      giveUp.abort();
      total.lost++;
      return false;
    }
    const { status, at } = await answer;
    if (status !== 200) throw new Error(`answered ${status}`);
    total.logged += Number(at('count'));
    total.repeated += Number(at('repeated'));
    total.conflicting += Number(at('conflicting'));
    return true;
  };
  let next = 0;
  const send = async (): Promise<void> => {
    for (let i = next++; i < queue.length; i = next++) {
      const batch = queue[i] ?? [];
      let lose = i % 3 === 0;
      while (!(await post(batch, lose))) lose = false;
    }
  };
  await Promise.all(Array.from({ length: senders }, send));
  return total;
}
