// Tells systemd where the process stands, for units with Type=notify.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Logger } from 'pino';

const TELL_LIMIT_MS = 10_000;

/**
 * Tells the service manager that the process is ready, or that it stops, as sd_notify(3) has it. Without NOTIFY_SOCKET in the
 * environment there is nobody to tell. Never throws.
 */
export async function tellServiceManager(
  state: 'READY=1' | 'STOPPING=1',
  { env, logger }: { readonly env: Readonly<Record<string, string | undefined>>; readonly logger: Logger },
): Promise<void> {
  if ((env.NOTIFY_SOCKET ?? '') === '') return;
  try {
    // Node has no datagrams on Unix sockets.
    await promisify(execFile)('systemd-notify', [state], { env, timeout: TELL_LIMIT_MS });
  } catch (error) {
    logger.warn({ err: error }, `systemd was not told ${state}: is systemd-notify on the PATH?`);
  }
}
