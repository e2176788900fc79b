import { expect, test } from 'vitest';
import { Webhooks } from '../../src/webhooks/webhooks.ts';
import { anchorGround } from '../support/anchoring.ts';

test('a round that becomes final on a chain is reported, with its block', async () => {
  const ground = await anchorGround();
  try {
    const { database, chain } = ground;
    const webhooks = new Webhooks({
      database,
      now: Date.now,
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      allowPrivate: false,
    });
    await webhooks.create({ url: 'https://hooks.example.org/' });
    const target = ground.target();
    await target.register();
    const rounds = await ground.close(2);
    await database.query(
      `INSERT INTO anchors (target, round, created_at, updated_at) SELECT 'local', number, 0, 0 FROM rounds`,
    );
    for (let i = 0; [...(await target.advance(rounds)).values()].some((again) => again !== null); i++) {
      expect(i).toBeLessThan(50);
    }
    const { rows } = await database.query<{ data: { round: number; transaction: string; block: { hash: string } } }>(
      "SELECT data FROM webhook_events WHERE type = 'anchor.finalized' ORDER BY id",
    );
    expect(rows.map(({ data }) => data.round).sort()).toEqual(rounds);
    for (const { data } of rows) {
      const receipt = await chain.provider.getTransactionReceipt(data.transaction);
      expect(receipt?.blockHash).toBe(data.block.hash);
    }
  } finally {
    await ground.stop();
  }
});
