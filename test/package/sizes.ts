import { gzipSync } from 'node:zlib';
import type { OutputAsset, OutputChunk } from 'rolldown';

/** What a bundle brings: bytes compressed at once, and only when something needs it; the code of all. It imports nothing else. */
export function sizesOf(output: readonly (OutputChunk | OutputAsset)[]): {
  first: number;
  later: number;
  code: string;
} {
  const chunks = new Map(output.flatMap((each) => (each.type === 'chunk' ? [[each.fileName, each]] : [])));
  const atOnce = new Set<string>();
  const load = (name: string): void => {
    const chunk = chunks.get(name);
    if (chunk === undefined) throw new Error(`it imports ${name}`);
    if (atOnce.has(name)) return;
    atOnce.add(name);
    for (const each of chunk.imports) load(each);
  };
  for (const { fileName, isEntry, dynamicImports } of chunks.values()) {
    if (isEntry) load(fileName);
    for (const each of dynamicImports) if (!chunks.has(each)) throw new Error(`it imports ${each}`);
  }
  const [first, later] = [true, false].map((wanted) =>
    [...chunks.values()]
      .filter(({ fileName }) => atOnce.has(fileName) === wanted)
      .reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0),
  );
  return { first: first ?? 0, later: later ?? 0, code: [...chunks.values()].map(({ code }) => code).join('\n') };
}
