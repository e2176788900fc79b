import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { SourceLimits } from '../../src/api/source-limits.ts';

const MIB = 1 << 20;

it('one source, or one address, takes half of the memory for bodies and leaves the rest to others', () => {
  const limits = new SourceLimits(() => 0);
  const responses: EventEmitter[] = [];
  const open = (source: string, address: string) => {
    const response = new EventEmitter();
    responses.push(response);
    return limits.open(source, address, response);
  };
  open('a', '192.0.2.1').take(20 * MIB);
  open('a', '192.0.2.2').take(12 * MIB);
  expect(() => open('a', '192.0.2.3').take(1)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  open('b', '192.0.2.4').take(20 * MIB);
  // Another source from the same address: together they have an address's share.
  expect(() => open('c', '192.0.2.4').take(13 * MIB)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  open('c', '192.0.2.5').take(12 * MIB);
  expect(() => open('d', '192.0.2.6').take(1)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  for (const response of responses) response.emit('close');
  open('a', '192.0.2.1').take(32 * MIB);
  open('d', '192.0.2.6').take(32 * MIB);
});

it('an address that fails too often at one source waits, there alone, and only so long', () => {
  let now = 0;
  const limits = new SourceLimits(() => now);
  const codeAt = (source: string, address: string): string | null => {
    try {
      limits.admit(source, address);
      return null;
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : 'other';
    }
  };
  for (let i = 0; i < 60; i++) limits.failed('a', '2001:db8::1');
  // All addresses of one subscriber are one.
  expect(codeAt('a', '2001:db8::2')).toBe('overloaded');
  expect(codeAt('a', '2001:db8:1::1')).toBeNull();
  expect(codeAt('b', '2001:db8::1')).toBeNull();
  now = 1_000;
  expect(codeAt('a', '2001:db8::1')).toBeNull();
});
