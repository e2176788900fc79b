import code from 'antequem:hash-worker';
import type { HashAnswer, HashName, HashRequest } from './hash-worker.ts';

interface Hashing {
  readonly hash?: HashName;
  /** Called from time to time with the bytes hashed so far. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** Hashes a file in a worker, so that the page stays responsive. The file never leaves the page. */
export function hashFile(file: Blob, { hash = 'sha256', onProgress, signal }: Hashing): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const worker = startWorker();
    const end = (): void => worker.terminate();
    signal.addEventListener('abort', () => {
      end();
      reject(signal.reason);
    });
    worker.onmessage = ({ data }: MessageEvent<HashAnswer>) => {
      if ('bytes' in data) return onProgress?.(data.bytes);
      end();
      if ('digest' in data) resolve(data.digest);
      else reject(new Error(`The file cannot be read: ${data.failure}`));
    };
    worker.onerror = () => {
      end();
      reject(new Error('The file cannot be hashed: this browser did not start the worker.'));
    };
    const request: HashRequest = { file, hash };
    worker.postMessage(request);
  });
}

interface TrustedScripts {
  createScriptURL(url: string): string;
}

/** Trusted Types policy: the only script URL that the page may create. */
function startWorker(): Worker {
  const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
  const worker = new Worker(policy?.createScriptURL(url) ?? url);
  // The worker has started to load by then, so the URL is no longer needed.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return worker;
}

const policy = makePolicy();

function makePolicy(): TrustedScripts | null {
  const factory: unknown = Reflect.get(globalThis, 'trustedTypes');
  if (typeof factory !== 'object' || factory === null || !('createPolicy' in factory)) return null;
  if (typeof factory.createPolicy !== 'function') return null;
  return factory.createPolicy('antequem', { createScriptURL: (url: string) => url });
}
