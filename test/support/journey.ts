// One append, its checkpoint and its round, with one effect on the way that goes wrong.

import { sha256 } from '#sha256';
import { utf8 } from '../../src/core/bytes.ts';
import type { Appended, Log } from '../../src/log/log.ts';
import type { PublishedStore } from '../../src/log/outside/published.ts';
import { PublishedFile } from '../../src/log/outside/published-file.ts';
import type { KeyRing } from '../../src/log/seed.ts';
import { drafts, type Instance, openInstance, SEED } from './instance.ts';

/** How an effect goes wrong: it does not take place, it does and is reported to have failed, or nothing comes back. */
export type How = 'failed' | 'done, reported failed' | 'hung';

/** What goes wrong in the process itself, once; `struck` is called at the moment. */
export interface InnerFault {
  readonly effect: 'sign' | 'release';
  readonly how: How;
  readonly struck: () => void;
}

export const KEY = 'journey';

/** An instance that gives up early on what hangs. */
export function openTraveller(url: string, file: string, fault: InnerFault | null = null): Promise<Instance> {
  const store = new PublishedFile(file);
  return openInstance(url, {
    commitDeadline: 500,
    signPatience: 300,
    storePatience: 300,
    patience: 500,
    published: fault?.effect === 'release' ? faultyStore(store, fault) : store,
    seed: fault?.effect === 'sign' ? faultyKeys(fault) : SEED,
  });
}

/** Appends an entry with a key that makes the second time the first one's echo. */
export function append(instance: Instance, log: Log): Promise<Appended> {
  const idempotency = { owner: '', key: KEY, requestHash: sha256(utf8(KEY)) };
  return instance.appender.append(log, { drafts: drafts(1, KEY), idempotency });
}

export async function end(instance: Instance): Promise<void> {
  // A store that hangs does not close either.
  void instance.guard.close();
  await instance.end();
}

/** Wraps an effect so that its first use goes wrong. */
function wrong<T>({ how, struck }: InnerFault, effect: () => Promise<T>): Promise<T> {
  if (how === 'failed') {
    struck();
    return Promise.reject(new Error('failed on purpose'));
  }
  if (how === 'hung') {
    struck();
    return new Promise(() => {});
  }
  return effect().then(() => {
    struck();
    throw new Error('done, and reported failed on purpose');
  });
}

function faultyKeys(fault: InnerFault): KeyRing {
  let used = false;
  return {
    signer: (origin, number) => {
      const signer = SEED.signer(origin, number);
      return {
        origin: signer.origin,
        publicKey: signer.publicKey,
        verifierKey: signer.verifierKey,
        cose: signer.cose,
        verifiers: signer.verifiers,
        withMlDsa: () => signer.withMlDsa(),
        sign: (checkpoint) => {
          if (used) return signer.sign(checkpoint);
          used = true;
          return wrong(fault, async () => signer.sign(checkpoint));
        },
      };
    },
  };
}

function faultyStore(store: PublishedStore, fault: InnerFault): PublishedStore {
  let used = false;
  return {
    name: store.name,
    read: (subjects) => store.read(subjects),
    all: () => store.all(),
    compareAndSet: (changes) => {
      if (used) return store.compareAndSet(changes);
      used = true;
      return wrong(fault, () => store.compareAndSet(changes));
    },
    close: () => store.close(),
  };
}
