/** The accounts that pay for anchors, as `_system` declares them. */
export class AccountActs {
  /** Addresses by chain. */
  readonly #declared = new Map<string, Set<string>>();

  declared({ chain, address }: { readonly chain: string; readonly address: string }): void {
    const known = this.#declared.get(chain) ?? new Set<string>();
    this.#declared.set(chain, known.add(address.toLowerCase()));
  }

  list(): { chain: string; address: string }[] {
    return [...this.#declared].flatMap(([chain, addresses]) => [...addresses].map((address) => ({ chain, address })));
  }
}
