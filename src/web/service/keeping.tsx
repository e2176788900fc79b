import { Ago, LocalTime } from '../parts/moment.tsx';
import { formatCount } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { type HoldAnswer, holdsAnswer, type RetentionAnswer, retentionAnswer } from './answers.ts';
import { ask, logPath } from './api.ts';
import { usePolled } from './polled.ts';
import { pace } from './session.ts';

/** Of more than these the number is shown. */
const MOST_HOLDS = 10;

/** How long a log keeps its entries, and what holds keep longer. */
export function Keeping({ log }: { readonly log: string }) {
  const { data } = usePolled<{ retention: RetentionAnswer; holds: readonly HoldAnswer[] }>(
    `keeping ${log}`,
    async (signal) => {
      const [retention, { holds }] = await Promise.all([
        ask(`${logPath(log)}/retention`, retentionAnswer, { signal }),
        ask(`${logPath(log)}/holds`, holdsAnswer, { signal }),
      ]);
      return { retention, holds };
    },
    () => pace.value,
  );
  if (data.value === null) return null;
  const { retention, holds } = data.value;
  return (
    <>
      <div>
        <dt>Kept</dt>
        <dd>
          {retention.period === null ? 'for ever' : `for ${retention.period}`}
          {retention.erased > 0 && `, ${formatCount(retention.erased)} erased by retention`}
          {retention.dueSince !== null && (
            <>
              {', due since '}
              <LocalTime time={retention.dueSince} />
            </>
          )}
          {retention.unconfirmedSince !== null && ', nothing is erased until the holds are confirmed'}
        </dd>
      </div>
      {holds.length > 0 && (
        <div>
          <dt>Legal holds</dt>
          <dd>
            {holds.slice(0, MOST_HOLDS).map((hold) => (
              <div key={hold.id}>
                {`${visible(hold.reason, 100)}: `}
                {hold.from === null ? 'from the first entry' : <LocalTime time={hold.from} />}
                {' to '}
                {hold.to === null ? 'all that come' : <LocalTime time={hold.to} />}
                <span class="soft">
                  {', added '}
                  <Ago time={hold.addedAt} />
                </span>
              </div>
            ))}
            {holds.length > MOST_HOLDS && <div>{`and ${formatCount(holds.length - MOST_HOLDS)} more`}</div>}
          </dd>
        </div>
      )}
    </>
  );
}
