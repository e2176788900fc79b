import type { Logger } from 'pino';
import { AntequemError } from '../core/errors.ts';
import type { EvmNode } from './node.ts';

/** The endpoints of one chain, the first that can be used before the others. */
export class Endpoints {
  readonly #nodes: readonly EvmNode[];
  readonly #chainId: number;
  readonly #logger: Logger;

  constructor(nodes: readonly EvmNode[], chainId: number, logger: Logger) {
    this.#nodes = nodes;
    this.#chainId = chainId;
    this.#logger = logger;
  }

  /**
   * An endpoint that answers and says that it is on the right chain, asked anew each time: behind a URL there may be
   * another chain than a minute ago. @throws AntequemError `chain-unreachable`
   */
  async use(): Promise<EvmNode> {
    const complaints: string[] = [];
    for (const node of this.#nodes) {
      try {
        const chainId = await node.chainId();
        if (chainId === this.#chainId) return node;
        const complaint = `${node.name} is on chain ${chainId}, not ${this.#chainId}: it is not used`;
        this.#logger.error({ endpoint: node.name, chainId }, complaint);
        complaints.push(complaint);
      } catch (error) {
        complaints.push(error instanceof Error ? error.message : String(error));
      }
    }
    throw new AntequemError(
      'chain-unreachable',
      `no endpoint of eip155:${this.#chainId} is of use: ${complaints.join('; ')}`,
    );
  }

  close(): void {
    for (const node of this.#nodes) node.close();
  }
}
