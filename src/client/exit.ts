// Where there is a process that ends by itself, it ends once nothing is left to send.

/** What has something to send. */
interface Sender {
  flush(): Promise<void>;
}

const senders = new Set<Sender>();
let listens = false;

/** Has `flush` called before the process ends, as long as the sender has something. */
export function flushBeforeExit(sender: Sender): void {
  senders.add(sender);
  if (listens || typeof process === 'undefined' || typeof process.on !== 'function') return;
  listens = true;
  // Fires when there is nothing else to do; what it begins keeps the process going, and then it fires again.
  process.on('beforeExit', () => {
    for (const waiting of senders) void waiting.flush();
  });
}

export function nothingToSend(sender: Sender): void {
  senders.delete(sender);
}
