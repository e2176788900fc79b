import { utf8 } from '../../core/bytes.ts';
import { TILE_WIDTH, tileLocation } from '../../core/tiles.ts';
import type { ServiceAnswer } from './answers.ts';
import type { Keeper } from './keeper.ts';
import { actsPath, SERVICE } from './layout.ts';
import type { PassResult } from './pass.ts';

/**
 * Makes what was kept a mirror: checkpoints and the description of the service name what is there already. What only an
 * older, smaller tree had goes last, so that a mirror is whole at every moment.
 */
export async function finishMirror(keeper: Keeper, service: ServiceAnswer, passed: PassResult): Promise<void> {
  await keeper.flush();
  await passed.heads.keep(
    keeper,
    passed.walked.map(({ name }) => name),
  );
  keeper.keep(SERVICE, utf8(`${JSON.stringify({ ...service, rounds: passed.rounds })}\n`), () => true);
  await keeper.flush();
  for (const { name, before, size } of passed.walked) {
    if (before !== size) await dropPartials(keeper, name, before, size);
  }
}

/** Those of the tree of `before` entries that the tree of `size` entries does not have. */
async function dropPartials(keeper: Keeper, log: string, before: number, size: number): Promise<void> {
  let nodes = size;
  for (let level = 0, old = before; old > 0; level++, old = Math.floor(old / TILE_WIDTH)) {
    const index = Math.floor(old / TILE_WIDTH);
    const width = index === Math.floor(nodes / TILE_WIDTH) ? nodes % TILE_WIDTH : 0;
    const but = width === 0 ? null : String(width);
    await keeper.dropPartials(`logs/${log}/${tileLocation({ level, index, width: TILE_WIDTH })}`, but);
    if (level === 0) {
      await keeper.dropPartials(`logs/${log}/${tileLocation({ level: 'entries', index, width: TILE_WIDTH })}`, but);
      if (log === '_system') await keeper.dropPartials(actsPath(index, TILE_WIDTH), but);
    }
    nodes = Math.floor(nodes / TILE_WIDTH);
  }
}
