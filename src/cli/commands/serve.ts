import { format } from 'node:util';
import { Command } from 'commander';
import type { Logger } from 'pino';
import { beginWithServiceMemory } from '../../start/memory.ts';

/** Longer than the parts take to stop: requests get five seconds, the queue and its handlers about ten each. */
const STOP_LIMIT_MS = 40_000;

/** `antequem serve`: the API, the worker, or both, configured by the environment. */
export function serveCommand(): Command {
  return new Command('serve')
    .option('--roles <roles>', 'api, worker, or both separated by a comma (default: $ROLES, else both)')
    .addHelpText(
      'after',
      `
Needs at least DATABASE_URL, ORIGIN and LOG_SEED_FILE; all settings are in docs/configuration.md. Beyond loopback it asks for an
API key first: see antequem keys --help.

Examples:
  $ antequem serve
  $ HOST=0.0.0.0 antequem serve --roles api`,
    )
    .action(async (options: { roles?: string }) => {
      beginWithServiceMemory();
      // Loaded here because no other command needs the service.
      const [{ pino }, { mistypedSettings, readConfig }, { serve }, { tellServiceManager }] = await Promise.all([
        import('pino'),
        import('../../config.ts'),
        import('../../main.ts'),
        import('../../start/service-manager.ts'),
      ]);
      const config = readConfig({ ...process.env, ...(options.roles === undefined ? {} : { ROLES: options.roles }) });
      const logger = pino({ level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime });
      routeConsole(logger);
      for (const warning of mistypedSettings(process.env)) logger.warn(warning);
      const running = await serve(config, logger);
      logger.info({ url: running.url, healthUrl: running.healthUrl, roles: config.roles }, 'started');
      void tellServiceManager('READY=1', { env: process.env, logger });
      const signal = await new Promise<string>((resolve) => {
        process.once('SIGINT', resolve);
        process.once('SIGTERM', resolve);
      });
      logger.info({ signal }, 'draining');
      void tellServiceManager('STOPPING=1', { env: process.env, logger });
      // A part that hangs, such as a database connection, must not keep the process from exiting.
      const late = setTimeout(() => {
        logger.error('some work did not finish in time; it is resumed at the next start');
        process.exit(1);
      }, config.operation.drainDelay + STOP_LIMIT_MS);
      await running.stop();
      clearTimeout(late);
      logger.info('stopped');
      // A pending connection to an unreachable Redis would keep the process alive.
      process.exit();
    });
}

/** Sends libraries' console output to the log, because standard output must be JSON lines only. */
function routeConsole(logger: Logger): void {
  console.log = (...said: unknown[]) => logger.info(format(...said));
  console.info = console.log;
  console.warn = (...said: unknown[]) => logger.warn(format(...said));
  console.error = (...said: unknown[]) => logger.error(format(...said));
}
