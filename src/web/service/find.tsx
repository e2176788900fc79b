import { Bytes } from '../parts/bytes.tsx';
import { Ago } from '../parts/moment.tsx';
import { formatCount } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { placesAnswer } from './answers.ts';
import { ask } from './api.ts';
import { Failure, Loading } from './notice.tsx';
import { usePolled } from './polled.ts';
import { href } from './router.ts';
import { Search } from './search.tsx';

const FOUND = 'Where this digest was logged';

/** Lists where a digest was logged. */
export function Find({ digest }: { readonly digest: string }) {
  const { data, failure } = usePolled(
    `find ${digest}`,
    (signal) => ask(`v1/entries?digest=${digest}`, placesAnswer, { signal }),
    () => null,
  );
  const places = data.value?.entries ?? null;
  return (
    <>
      <div class="stack tight">
        <h1 tabIndex={-1}>
          {places === null ? 'Looking for this digest' : places.length > 0 ? FOUND : 'No log here contains this digest'}
        </h1>
        <p>
          <Bytes text={digest} />
        </p>
        <Search />
      </div>
      <Failure of={failure} />
      {places === null && failure.value === null && <Loading />}
      {places !== null && places.length > 0 && (
        <ul class="places">
          {places.map(({ log, index, receivedAt }) => {
            const name = log.slice(log.lastIndexOf('/') + 1);
            return (
              <li key={`${log} ${index}`} class="card row spread">
                <a href={href.entry(name, index)}>{`Entry ${formatCount(index)} of ${visible(name, 64)}`}</a>
                <span class="soft small">
                  {'received '}
                  <Ago time={receivedAt} />
                </span>
              </li>
            );
          })}
        </ul>
      )}
    </>
  );
}
