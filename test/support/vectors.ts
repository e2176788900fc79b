import { z } from 'zod';

const hex = z.string().regex(/^([0-9a-f]{2})*$/);

export const formatsVector = z.object({
  origin: z.string(),
  logId: hex,
  entries: z.array(
    z.object({
      index: z.number(),
      payload: hex,
      digest: hex,
      nonce: hex,
      receivedAt: z.number(),
      previous: hex,
      commitment: hex,
      entry: hex,
      leafHash: hex,
    }),
  ),
  checkpoint: z.object({ size: z.number(), root: hex, body: z.string() }),
  firstPreviousRoot: z.object({ serviceOrigin: z.string(), root: hex }),
  round: z.object({
    number: z.number(),
    closedAt: z.number(),
    previousRoot: hex,
    beacons: z.array(z.object({ chain: z.string(), height: z.number(), hash: hex })),
    digests: z.array(z.object({ digest: hex, nonce: hex })),
    leaves: z.array(hex),
    leafHashes: z.array(hex),
    root: hex,
    checkpointIndex: z.number(),
  }),
  path: z.object({
    entryIndex: z.number(),
    digest: hex,
    steps: z.array(z.object({ prefix: hex, suffix: hex })),
    packed: hex,
    root: hex,
  }),
});

export const merkleVector = z.object({
  data: z.array(hex),
  trees: z.array(
    z.object({
      size: z.number(),
      root: hex,
      inclusion: z.array(z.object({ index: z.number(), path: z.array(hex) })),
      consistency: z.array(z.object({ from: z.number(), path: z.array(hex) })),
    }),
  ),
});

export const tilePathsVector = z.array(z.object({ tile: z.number(), path: z.string() }));
