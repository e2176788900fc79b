import { formatMoment } from '../parts/units.ts';
import { entriesAnswer } from './answers.ts';
import { ask, logPath } from './api.ts';
import { usePolled } from './polled.ts';

/** Acts looked through for the one that tells of an erasure: 10,000 a page. */
const MOST_PAGES = 50;

/** Says that an entry was erased, and when: `_system` tells. */
export function ErasedNotice({ log, index }: { readonly log: string; readonly index: number }) {
  const { data } = usePolled<{ at: string | null }>(
    `erased ${log} ${index}`,
    async (signal) => {
      const query = new URLSearchParams([
        ['field', '/act=entry-erased'],
        ['field', `/log=${log}`],
        ['field', `/index=${index}`],
        ['limit', '1'],
      ]);
      let from = 0;
      for (let page = 0; page < MOST_PAGES; page++) {
        query.set('from', String(from));
        const { entries, next } = await ask(`${logPath('_system')}/entries?${query}`, entriesAnswer, { signal });
        if (entries[0] !== undefined) return { at: entries[0].receivedAt };
        if (next === undefined) break;
        from = next;
      }
      return { at: null };
    },
    () => null,
  );
  const at = data.value?.at ?? null;
  return (
    <div class="card stack tight" role="status">
      <p>
        <strong>{at === null ? 'This entry was erased.' : `This entry was erased on ${formatMoment(at)}.`}</strong>
      </p>
      <p class="soft">
        Its content, digest and nonce are gone. Its place in the log can still be proven, its content cannot. The log
        _system has a record of the erasure.
      </p>
    </div>
  );
}
