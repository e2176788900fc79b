import { ServiceError, UnreachableError } from '../client/failure.ts';
import { AntequemError } from '../core/errors.ts';

/** What `pg` says, without a code, of a connection that could not be made or broke. */
const DATABASE_AWAY =
  /^(?:Connection terminated|Connection ended|Client has encountered a connection error|timeout exceeded when trying to connect|Query read timeout|SASL)/;

/**
 * What went wrong and what to do about it, in one line; of a configuration with several faults, each on a line of its own.
 * Unexpected errors are shown with their stack.
 */
export function failureLine(error: unknown): string {
  if (error instanceof UnreachableError) return `${error.message}; is the service running? see --url`;
  if (error instanceof ServiceError) {
    const hint = error.status === 401 || error.status === 403 ? '; see --api-key-file' : '';
    return oneLine(`${error.message} (${error.code})${hint}`);
  }
  if (error instanceof AntequemError) {
    return error.code === 'config-invalid' ? error.message.split('\n').map(oneLine).join('\n') : oneLine(error.message);
  }
  // Of an attempt for each address of a host name.
  if (error instanceof AggregateError && error.errors.length > 0) return failureLine(error.errors[0]);
  if (error instanceof Error && 'syscall' in error) return oneLine(error.message);
  // Only PostgreSQL's own errors have a severity.
  if (error instanceof Error && 'severity' in error) return oneLine(`the database says: ${error.message}`);
  if (error instanceof Error && DATABASE_AWAY.test(error.message)) {
    return oneLine(`the database cannot be used: ${error.message}`);
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Text from outside must not move the cursor or fake a second line. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression removes them
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}
