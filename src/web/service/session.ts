import { computed, signal } from '@preact/signals';
import { type SessionAnswer, sessionAnswer } from './answers.ts';

/** Null until the service has answered. */
export const session = signal<SessionAnswer | null>(null);

/** Whether requests are possible: with a key, or if none is needed. */
export const admitted = computed(() => session.value !== null && (session.value.open || session.value.key !== null));

/** Logs that the key is limited to; null: all. */
export const ownLogs = computed(() => session.value?.key?.logs ?? null);

/** Whether the key permits this for at least one log. */
export function may(scope: 'append' | 'read' | 'admin'): boolean {
  const { open, key } = session.value ?? { open: false, key: null };
  return open || (key !== null && (key.scopes.includes(scope) || key.scopes.includes('admin')));
}

/** Milliseconds between refreshes of the page. */
export const pace = computed(() => Math.min(15_000, Math.max(2_000, session.value?.roundInterval ?? 5_000)));

export async function loadSession(): Promise<void> {
  session.value = sessionAnswer.parse(await (await fetch('v1/session')).json());
}

/** @returns null on success, otherwise the reason of the failure */
export async function signIn(key: string): Promise<string | null> {
  const response = await fetch('v1/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key }),
  });
  if (response.status === 401) return 'This key is unknown or was revoked.';
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
