// A process that waits for its order, makes the journey and is killed on the way.

import { once } from 'node:events';
import { z } from 'zod';
import { append, openTraveller } from './journey.ts';

const orderForm = z.object({
  url: z.string(),
  file: z.string(),
  log: z.string(),
  step: z.enum(['append', 'publish', 'round']),
  fault: z
    .object({ effect: z.enum(['sign', 'release']), how: z.enum(['failed', 'done, reported failed', 'hung']) })
    .nullable(),
});

process.on('disconnect', () => process.exit());
process.send?.('ready');
const [message] = await once(process, 'message');
const order = orderForm.parse(message);

const struck = (): void => {
  // At the very moment; what hangs is for the parent to kill.
  if (order.fault?.how === 'hung') process.send?.('struck');
  else process.kill(process.pid, 'SIGKILL');
};
const instance = await openTraveller(order.url, order.file, order.fault === null ? null : { ...order.fault, struck });
const log = await instance.registry.find(order.log);
if (log === null) throw new Error(`no log ${order.log}`);
// Where the parent breaks the connection it kills this process as well: what is thrown meanwhile says nothing.
await append(instance, log).catch(() => {});
if (order.step === 'publish') await instance.publisher.current(log).catch(() => {});
if (order.step === 'round') await instance.closeRound().catch(() => {});
// Still here: the fault has not struck, or the parent is about to kill.
process.send?.('over');
