import { sameJson } from '../../core/json.ts';
import { logOrigin } from '../../core/origin.ts';
import type { Queryable } from '../../store/database.ts';
import { type ActOf, near } from '../checks/acts.ts';
import type { Findings } from '../checks/findings.ts';

interface SourceRow {
  id: string;
  name: string;
  scheme: string;
  settings: unknown;
  log: string;
  created_at: number;
}

/**
 * The sources that `_system` tells of, compared with those that are there: whoever adds a source with a key of their own can
 * have anything logged. Secrets need no comparison, since none can be sealed without the seed.
 */
export class SourceActs {
  readonly #findings: Findings;
  readonly #origin: string;
  readonly #told = new Map<string, ActOf<'source-created'>>();

  constructor(findings: Findings, serviceOrigin: string) {
    this.#findings = findings;
    this.#origin = serviceOrigin;
  }

  created(act: ActOf<'source-created'>): void {
    this.#told.set(act.source, act);
  }

  changed({ source, settings }: ActOf<'source-changed'>): void {
    const told = this.#told.get(source);
    if (told !== undefined && settings !== null) this.#told.set(source, { ...told, settings });
  }

  removed({ source }: ActOf<'source-removed'>): void {
    this.#told.delete(source);
  }

  async finish(db: Queryable): Promise<void> {
    const { rows } = await db.query<SourceRow>(
      `SELECT s.id, s.name, s.scheme, s.settings, l.name AS log, s.created_at FROM sources s JOIN logs l ON l.id = s.log
       ORDER BY s.id`,
    );
    for (const row of rows) {
      const told = this.#told.get(row.id);
      this.#told.delete(row.id);
      const differing = told === undefined ? null : this.#differences(row, told);
      if (differing?.length === 0) continue;
      const says =
        differing === null
          ? 'is there, and _system does not tell of it'
          : `differs from what _system tells in ${differing.join(', ')}`;
      this.#findings.add('source-differs', {}, `the source ${row.name} (${row.id}) ${says}`);
    }
    for (const { name, source } of this.#told.values()) {
      this.#findings.add('source-differs', {}, `_system tells of the source ${name} (${source}), which is missing`);
    }
  }

  #differences(row: SourceRow, told: ActOf<'source-created'>): string[] {
    return [
      row.name === told.name ? [] : ['the name'],
      row.scheme === told.scheme ? [] : ['the scheme'],
      sameJson(row.settings, told.settings) ? [] : ['its settings'],
      logOrigin(this.#origin, row.log) === told.log ? [] : ['the log'],
      near(row.created_at, told.at) ? [] : ['the time it was made'],
    ].flat();
  }
}
