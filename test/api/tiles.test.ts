import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCheckpoint } from '../../src/core/checkpoint.ts';
import { decodeEntry, entryLeafHash } from '../../src/core/entry.ts';
import { parseNote, parseVerifierKey, verifyNote } from '../../src/core/note.ts';
