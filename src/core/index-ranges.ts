// Ranges of indices: [begin, end).

export type IndexRange = readonly [begin: number, end: number];

/** The same indices, ascending, in as few ranges as can be. */
export function united(ranges: Iterable<IndexRange>): IndexRange[] {
  const merged: [number, number][] = [];
  for (const [begin, end] of [...ranges].sort(([a], [b]) => a - b)) {
    if (begin >= end) continue;
    const last = merged.at(-1);
    if (last !== undefined && begin <= last[1]) last[1] = Math.max(last[1], end);
    else merged.push([begin, end]);
  }
  return merged;
}

/** What of some ranges is not in others, ascending. */
export function without(ranges: Iterable<IndexRange>, taken: Iterable<IndexRange>): IndexRange[] {
  const holes = united(taken);
  const rest: IndexRange[] = [];
  let at = 0;
  for (const [begin, end] of united(ranges)) {
    let from = begin;
    while (at < holes.length && (holes[at]?.[1] ?? 0) <= from) at++;
    for (let next = at; next < holes.length && (holes[next]?.[0] ?? end) < end; next++) {
      const [low, high] = holes[next] ?? [end, end];
      if (from < low) rest.push([from, low]);
      from = Math.max(from, high);
    }
    if (from < end) rest.push([from, end]);
  }
  return rest;
}

/** What of some ranges is in others too, ascending. */
export function shared(ranges: Iterable<IndexRange>, others: Iterable<IndexRange>): IndexRange[] {
  const all = [...ranges];
  return without(all, without(all, others));
}

/** Whether ascending ranges that do not touch, as {@link united} returns them, have an index. */
export function contains(ranges: readonly IndexRange[], index: number): boolean {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const [begin, end] = ranges[middle] ?? [0, 0];
    if (index < begin) high = middle;
    else if (index >= end) low = middle + 1;
    else return true;
  }
  return false;
}

export function countOf(ranges: Iterable<IndexRange>): number {
  let count = 0;
  for (const [begin, end] of ranges) count += end - begin;
  return count;
}
