import { AntequemError } from '../core/errors.ts';

export const SET_BACK = 'database-set-back';

const ADVICE =
  'Nothing is appended, signed or sent, since that would fork what was published. Bring the newest copy of the database ' +
  'back and restart every process of the service, or see with `antequem recover` what is lost and accept it';

/**
 * The error for a database that lacks earlier data.
 * @param cause what may have happened; the finding does not prove that the database was set back
 */
export function setBack(what: string, cause = 'the database was set back or altered'): AntequemError {
  return new AntequemError(SET_BACK, `${cause}: ${what}. ${ADVICE}`);
}

/**
 * Whether this process may append, sign and send. A finding is kept in memory until the process restarts, because its
 * remembered tiles and heads may belong to the lost data.
 */
export class RollbackState {
  #found = false;

  /** Why not, without details, which are in the service's log. Null: it may. */
  get finding(): AntequemError | null {
    return this.#found ? setBack('it lacks what was published before') : null;
  }

  /** @throws AntequemError `database-set-back` */
  demand(): void {
    const { finding } = this;
    if (finding !== null) throw finding;
  }

  note(): void {
    this.#found = true;
  }

  /** The same promise. If it fails with `database-set-back`, that is noted. */
  async watch<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      if (error instanceof AntequemError && error.code === SET_BACK) this.note();
      throw error;
    }
  }
}
