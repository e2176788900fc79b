const DECIMALS = 18;
const WEI = 10n ** BigInt(DECIMALS);

/**
 * Wei as ether, with a decimal at least: `0.021`, `3.0`. By hand: the library that can do it takes 15 MB in each thread that loads
 * it, and threads that only read send nothing.
 */
export function formatEther(wei: bigint): string {
  const decimals = String(wei % WEI)
    .padStart(DECIMALS, '0')
    .replace(/0+$/, '');
  return `${wei / WEI}.${decimals === '' ? '0' : decimals}`;
}
