import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';

/** The accounts that pay for anchors, as `_system` declares them. */
export class AccountActs {
  readonly #findings: Findings;
  /** Addresses by chain. */
  readonly #declared = new Map<string, Set<string>>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  declared({ chain, address }: { readonly chain: string; readonly address: string }): void {
    const known = this.#declared.get(chain) ?? new Set<string>();
    this.#declared.set(chain, known.add(address.toLowerCase()));
  }

  /** Those of one chain. */
  on(chain: string): ReadonlySet<string> {
    return this.#declared.get(chain) ?? new Set();
  }

  async finish(db: Queryable): Promise<void> {
    const { rows } = await db.query<{ chain: string; address: string; declared: boolean }>(
      'SELECT chain, address, declared_at IS NOT NULL AS declared FROM evm_accounts ORDER BY chain, address',
    );
    for (const { chain, address, declared } of rows) {
      const told = this.on(chain).has(address);
      if (told === declared) continue;
      const says = declared
        ? 'is there as declared, and _system does not tell of it'
        : 'is declared by _system, and not there as such';
      this.#findings.add('sender-differs', {}, `the account ${address} on ${chain} ${says}`);
    }
    const there = new Set(rows.map(({ chain, address }) => `${chain} ${address}`));
    for (const [chain, addresses] of this.#declared) {
      for (const address of addresses) {
        if (there.has(`${chain} ${address}`)) continue;
        const says = `the account ${address} on ${chain} is declared by _system, and not there`;
        this.#findings.add('sender-differs', {}, says);
      }
    }
  }
}
