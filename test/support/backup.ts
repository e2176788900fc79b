// What an operator can do to a database that a service relies on.

import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { createDatabase, dropDatabase, type TestDatabase } from './postgres.ts';

// Over a Unix socket it is no URL by the book.
const nameOf = (url: string): string => /^\w+:\/\/[^/]*\/([^?]+)/.exec(url)?.[1] ?? '';

/** A copy of a database that nobody is connected to. */
export async function copyDatabase(url: string): Promise<TestDatabase> {
  const server = inject('postgres').url;
  const name = `antequem_test_${randomBytes(6).toString('hex')}`;
  const copy = await createDatabase(server, name, nameOf(url));
  return { url: copy, name, drop: () => dropDatabase(server, name) };
}

/** Puts a copy in the place of a database, under whoever uses that: its connections are cut. */
export async function restoreDatabase(url: string, copy: TestDatabase): Promise<void> {
  const server = inject('postgres').url;
  await dropDatabase(server, nameOf(url));
  await createDatabase(server, nameOf(url), copy.name);
}
