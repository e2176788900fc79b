// Environment variables that look like settings but are not: most of them are mistyped.

/** Prefixes of our settings that few other variables have. */
const OWN_PREFIX = /^(EVM|OTS|BITCOIN|WITNESS|ROUND|CALENDAR|WEBHOOK)_/;
/** Kubernetes and Docker set such variables for every service, whatever its name. */
const OF_A_SERVICE = /_(SERVICE|PORT)(_|$)/;
const COMMON_PREFIX = /^ANTEQUEM_/;
/** The command line reads these. */
const OF_THE_COMMAND_LINE: ReadonlySet<string> = new Set(['ANTEQUEM_URL', 'ANTEQUEM_API_KEY']);

/**
 * A sentence for each variable that is set, is no setting, and looks like one: by a few letters, by the prefix of a
 * group, or by a prefix `ANTEQUEM_`. It tells names alone; values may be secrets.
 */
export function unknownSettings(set: Iterable<string>, known: readonly string[]): string[] {
  const names = new Set(known);
  return [...set].flatMap((name) => {
    if (names.has(name) || OF_THE_COMMAND_LINE.has(name) || OF_A_SERVICE.test(name)) return [];
    const bare = name.replace(COMMON_PREFIX, '');
    const nearest = nearestOf(bare, known);
    if (nearest !== null) return [`${name} is set, which is no setting: did you mean ${nearest}?`];
    return OWN_PREFIX.test(bare) ? [`${name} is set, which is no setting: see docs/configuration.md`] : [];
  });
}

/** The known name that differs in at most one letter of four, and in at most three; of several the closest. */
function nearestOf(name: string, known: readonly string[]): string | null {
  const limit = Math.min(3, Math.floor(name.length / 4));
  let [nearest, least]: [string | null, number] = [null, limit + 1];
  for (const candidate of known) {
    // Bounds the cost of long names.
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const distance = candidate === name ? 0 : editDistance(name.toUpperCase(), candidate);
    if (distance < least) [nearest, least] = [candidate, distance];
  }
  return nearest;
}

/** Letters put in, left out, replaced, or exchanged with their neighbor (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const exchanged =
        from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
          ? (beforeLast[j - 2] ?? 0) + 1
          : Number.POSITIVE_INFINITY;
      row.push(Math.min(replaced, exchanged, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    [beforeLast, last] = [last, row];
  }
  return last[to.length] ?? 0;
}
