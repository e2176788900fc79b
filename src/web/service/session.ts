import { computed, signal } from '@preact/signals';
import { type SessionAnswer, sessionAnswer } from './answers.ts';

/** Null until the service has told. */
export const session = signal<SessionAnswer | null>(null);

/** Whether anything can be asked: with a key, or where none is needed. */
export const admitted = computed(() => session.value !== null && (session.value.open || session.value.key !== null));

/** Logs that the key is for; null: all of them. */
export const ownLogs = computed(() => session.value?.key?.logs ?? null);

/** Whether the key permits this at all, to some log. */
export function may(scope: 'append' | 'read' | 'admin'): boolean {
  const { open, key } = session.value ?? { open: false, key: null };
  return open || (key !== null && (key.scopes.includes(scope) || key.scopes.includes('admin')));
}

/** Milliseconds after which what is shown is asked for anew. */
export const pace = computed(() => Math.min(15_000, Math.max(2_000, session.value?.roundInterval ?? 5_000)));

export async function loadSession(): Promise<void> {
  session.value = sessionAnswer.parse(await (await fetch('v1/session')).json());
}

/** Null when it is done, else why not. */
export async function signIn(key: string): Promise<string | null> {
  const response = await fetch('v1/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key }),
  });
  if (response.status === 401) return 'This key is not known here, or was revoked.';
  if (!response.ok) return `The service answered with status ${response.status}.`;
  session.value = sessionAnswer.parse(await response.json());
  return null;
}

export async function signOut(): Promise<void> {
  await fetch('v1/session', { method: 'DELETE' });
  signedOut();
}

export function signedOut(): void {
  session.value = { open: false, key: null };
}
