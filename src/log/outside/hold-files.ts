// Holds as files in a folder beside the guard's file, one each, so that none depends on another and nothing needs a lock.

import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder, writeDurably } from '../../core/durable-file.node.ts';
import { AntequemError, hasCode, messageOf } from '../../core/errors.ts';
import { HOLD_ID, type Hold, type HoldStore, holdText, parseHold } from './hold.ts';

const SUFFIX = '.json';

export class HoldFiles implements HoldStore {
  readonly name: string;
  readonly #folder: string;

  /** @param guardFile as LOG_GUARD_FILE */
  constructor(guardFile: string) {
    this.#folder = `${guardFile}.holds`;
    this.name = this.#folder;
  }

  async all(): Promise<Hold[]> {
    return this.#answered(async () => {
      const names = await readdir(this.#folder).catch((error: unknown) => {
        if (hasCode(error, 'ENOENT')) return [];
        throw error;
      });
      const holds: Hold[] = [];
      for (const name of names.sort()) {
        if (!name.endsWith(SUFFIX) || !HOLD_ID.test(name.slice(0, -SUFFIX.length))) continue;
        const file = join(this.#folder, name);
        const text = await readFile(file, 'utf8').catch((error: unknown) => {
          // It was removed just now.
          if (hasCode(error, 'ENOENT')) return null;
          throw error;
        });
        if (text !== null) holds.push(parseHold(text, file));
      }
      return holds;
    });
  }

  async put(hold: Hold): Promise<void> {
    await this.#answered(async () => {
      if ((await mkdir(this.#folder, { recursive: true, mode: 0o700 })) !== undefined) {
        await syncFolder(dirname(this.#folder));
      }
      await writeDurably(this.#fileOf(hold.id), `${holdText(hold)}\n`, { mode: 0o600 });
    });
  }

  async remove(id: string): Promise<void> {
    await this.#answered(async () => {
      await rm(this.#fileOf(id), { force: true });
      await syncFolder(this.#folder).catch((error: unknown) => {
        if (!hasCode(error, 'ENOENT')) throw error;
      });
    });
  }

  async close(): Promise<void> {}

  #fileOf(id: string): string {
    return join(this.#folder, `${id}${SUFFIX}`);
  }

  async #answered<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof AntequemError) throw cause;
      const says = `holds cannot be kept in ${this.#folder} (${messageOf(cause)}), so nothing is erased: correct that`;
      throw new AntequemError('guard-unavailable', says, { cause });
    }
  }
}
