import { AntequemError } from '../core/errors.ts';
import type { EvmNode } from './node.ts';

/** Once one endpoint has answered, the others have so long to do the same. */
const GRACE_MS = 1_500;
/** So long an endpoint that hung is asked nothing, as long as there are others. */
const REST_MS = 30_000;

/** One endpoint of a chain, and whether it hung lately. */
export class Endpoint {
  readonly node: EvmNode;
  /** What was last found to be wrong with it; null: nothing. */
  complaint: string | null = null;
  /** On the clock that `performance` has: no clock that is set can make it rest for ever. */
  #restUntil = 0;
  #silent = false;

  constructor(node: EvmNode) {
    this.node = node;
  }

  /** Whether it hung when it was last asked. */
  get silent(): boolean {
    return this.#silent;
  }

  get resting(): boolean {
    return performance.now() < this.#restUntil;
  }

  hung(): void {
    this.#silent = true;
    this.#restUntil = performance.now() + REST_MS;
  }

  answered(): void {
    this.#silent = false;
    this.#restUntil = 0;
  }
}

export interface Poll<T> {
  /** In the order of the endpoints. */
  readonly answers: readonly { readonly endpoint: Endpoint; readonly value: T }[];
  readonly failures: readonly { readonly endpoint: Endpoint; readonly error: unknown }[];
}

/**
 * Asks all endpoints at once. Who has not answered soon after the first to answer counts as failed, and rests: one that
 * hangs must cost a moment, not a timeout for each question.
 * @param limit milliseconds after which nobody is waited for any more; default: the nodes' own timeout
 */
export async function poll<T>(
  endpoints: readonly Endpoint[],
  question: (node: EvmNode) => Promise<T>,
  limit?: number,
): Promise<Poll<T>> {
  const outcomes = new Array<{ value: T } | { error: unknown } | null>(endpoints.length).fill(null);
  const start = performance.now();
  await new Promise<void>((resolve) => {
    let waiting = endpoints.length;
    let grace: NodeJS.Timeout | undefined;
    const end = limit === undefined ? undefined : setTimeout(resolve, limit);
    const settle = (): void => {
      waiting -= 1;
      if (waiting > 0) return;
      clearTimeout(grace);
      clearTimeout(end);
      resolve();
    };
    if (waiting === 0) resolve();
    for (const [i, endpoint] of endpoints.entries()) {
      question(endpoint.node).then(
        (value) => {
          endpoint.answered();
          outcomes[i] = { value };
          grace ??= setTimeout(resolve, GRACE_MS);
          settle();
        },
        (error: unknown) => {
          if (performance.now() - start > GRACE_MS) endpoint.hung();
          outcomes[i] = { error };
          settle();
        },
      );
    }
  });
  const ends = endpoints.map((endpoint, i) => ({ endpoint, outcome: outcomes[i] ?? late(endpoint) }));
  return {
    answers: ends.flatMap(({ endpoint, outcome }) => ('value' in outcome ? [{ endpoint, value: outcome.value }] : [])),
    failures: ends.flatMap(({ endpoint, outcome }) => ('error' in outcome ? [{ endpoint, error: outcome.error }] : [])),
  };
}

function late(endpoint: Endpoint): { error: AntequemError } {
  endpoint.hung();
  return { error: new AntequemError('rpc-failed', `${endpoint.node.name} does not answer in time`) };
}
