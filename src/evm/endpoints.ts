import type { Logger } from 'pino';
import { AntequemError } from '../core/errors.ts';
import { agreedNode } from './agreement.ts';
import type { EvmNode } from './node.ts';
import { Endpoint, poll } from './poll.ts';

/** For the simplest of all questions. Who takes longer takes too long for the others. */
const CHAIN_ID_MS = 5_000;

/** The endpoints of one chain. Each is asked by itself; one that hangs or is on another chain holds up no other. */
export class Endpoints {
  readonly #endpoints: readonly Endpoint[];
  readonly #chainId: number;
  readonly #logger: Logger;

  constructor(nodes: readonly EvmNode[], chainId: number, logger: Logger) {
    this.#endpoints = nodes.map((node) => new Endpoint(node));
    this.#chainId = chainId;
    this.#logger = logger;
  }

  /**
   * The endpoints that answer and say that they are on the right chain, as one node. Asked anew each time: behind a URL
   * there may be another chain than a minute ago. @throws AntequemError `chain-unreachable`
   */
  async use(): Promise<EvmNode> {
    const groups = [this.#endpoints.filter((one) => !one.resting), this.#endpoints.filter((one) => one.resting)];
    const complaints: string[] = [];
    for (const group of groups) {
      const usable = await this.#onChain(group, complaints);
      if (usable.length > 0) {
        return agreedNode(usable, `eip155:${this.#chainId}`, (endpoint, says) => this.#note(endpoint, says, 'warn'));
      }
    }
    throw new AntequemError(
      'chain-unreachable',
      `no endpoint of eip155:${this.#chainId} is of use: ${complaints.join('; ')}`,
    );
  }

  /** Whether any endpoint answered when last asked. */
  get answering(): boolean {
    return this.#endpoints.some((endpoint) => !endpoint.silent);
  }

  close(): void {
    for (const { node } of this.#endpoints) node.close();
  }

  async #onChain(endpoints: readonly Endpoint[], complaints: string[]): Promise<Endpoint[]> {
    const { answers, failures } = await poll(endpoints, (node) => node.chainId(), CHAIN_ID_MS);
    for (const { endpoint, error } of failures) {
      const says = error instanceof Error ? error.message : String(error);
      complaints.push(says);
      this.#note(endpoint, says, 'warn');
    }
    return answers.flatMap(({ endpoint, value }) => {
      if (value === this.#chainId) {
        this.#note(endpoint, null, 'info');
        return [endpoint];
      }
      const says = `${endpoint.node.name} is on chain ${value}, not ${this.#chainId}: it is not used`;
      complaints.push(says);
      this.#note(endpoint, says, 'error');
      return [];
    });
  }

  /** Logs what is wrong with an endpoint, once for each thing, and that it is over. */
  #note(endpoint: Endpoint, says: string | null, level: 'warn' | 'error' | 'info'): void {
    if (endpoint.complaint === says) return;
    // With one endpoint alone the target says it all.
    if (this.#endpoints.length > 1 || level === 'error') {
      this.#logger[level]({ endpoint: endpoint.node.name }, says ?? `${endpoint.node.name} is of use again`);
    }
    endpoint.complaint = says;
  }
}
