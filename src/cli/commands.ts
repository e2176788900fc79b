// The list of commands. The body of a command, with its options, is loaded only when it is run.

import type { Command } from 'commander';

/** A command's name and the summary that `antequem --help` shows. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Loads the command with its arguments, options and action. */
  load(): Promise<Command>;
}

/** In the order of `antequem --help`. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'serve',
    summary: 'run the service, configured by environment variables',
    load: async () => (await import('./commands/serve.ts')).serveCommand(),
  },
  {
    name: 'append',
    summary: 'append the lines of a file, or of standard input, to a log; each non-blank line becomes an entry',
    load: async () => (await import('./commands/append.ts')).appendCommand(),
  },
  {
    name: 'stamp',
    summary: 'log the SHA-256 digests of files and write FILE.receipt.json beside each; the files stay on this machine',
    load: async () => (await import('./commands/stamp.ts')).stampCommand(),
  },
  {
    name: 'receipt',
    summary: 'fetch the receipt of an entry: the proof of when and where it was logged',
    load: async () => (await import('./commands/receipt.ts')).receiptCommand(),
  },
  {
    name: 'upgrade',
    summary: 'add newer proofs to a receipt or an .ots file; the file is replaced',
    load: async () => (await import('./commands/upgrade.ts')).upgradeCommand(),
  },
  {
    name: 'export',
    summary: 'write the entries of a log with their payloads and receipts, one JSON object a line',
    load: async () => (await import('./commands/export.ts')).exportCommand(),
  },
  {
    name: 'path',
    summary: "print the path from a receipt's digest to its round's root in the form the contract takes; works offline",
    load: async () => (await import('./commands/path.ts')).pathCommand(),
  },
  {
    name: 'verify',
    summary: 'check a receipt or an OpenTimestamps file against its content and against sources you trust',
    load: async () => (await import('./commands/verify.ts')).verifyCommand(),
  },
  {
    name: 'info',
    summary: 'print the operations and attestations of an OpenTimestamps file; works offline, verifies nothing',
    load: async () => (await import('./commands/info.ts')).infoCommand(),
  },
  {
    name: 'audit',
    summary:
      'check the whole database, or with --url everything a service publishes, and report the first fault; read only',
    load: async () => (await import('./commands/audit.ts')).auditCommand(),
  },
  {
    name: 'mirror',
    summary: 'save what a service or a public archive publishes to a folder, and audit it meanwhile',
    load: async () => (await import('./commands/mirror.ts')).mirrorCommand(),
  },
  {
    name: 'erase',
    summary: 'erase the payload, digest and nonce of an entry permanently; needs a key with the scope admin',
    load: async () => (await import('./commands/erase.ts')).eraseCommand(),
  },
  {
    name: 'retention',
    summary: 'set how long a log keeps its entries; older ones are erased in bulk; needs a key with the scope admin',
    load: async () => (await import('./commands/retention.ts')).retentionCommand(),
  },
  {
    name: 'hold',
    summary: 'add, list, remove and confirm legal holds, which keep entries from being erased; needs the scope admin',
    load: async () => (await import('./commands/hold.ts')).holdCommand(),
  },
  {
    name: 'keys',
    summary: 'make, list and revoke API keys; works on the database (DATABASE_URL, ORIGIN, LOG_SEED_FILE)',
    load: async () => (await import('./commands/keys.ts')).keysCommand(),
  },
  {
    name: 'logs',
    summary: 'create logs; list, rotate and retire their keys, on the database with the same environment as serve',
    load: async () => (await import('./commands/logs.ts')).logsCommand(),
  },
  {
    name: 'anchors',
    summary: 'show the state of each anchor target; works on the database (DATABASE_URL, or that of local mode)',
    load: async () => (await import('./commands/anchors.ts')).anchorsCommand(),
  },
  {
    name: 'archive',
    summary: 'show how far entries are archived, and compare the archives with the database',
    load: async () => (await import('./commands/archive.ts')).archiveCommand(),
  },
  {
    name: 'sources',
    summary:
      'make, list, change and remove sources, the senders whose signed webhooks are logged; needs the scope admin',
    load: async () => (await import('./commands/sources.ts')).sourcesCommand(),
  },
  {
    name: 'webhooks',
    summary: 'make, list, delete and replay webhooks; needs a key with the scope admin',
    load: async () => (await import('./commands/webhooks.ts')).webhooksCommand(),
  },
  {
    name: 'deploy',
    summary:
      'deploy the contract to a chain, at the same address as on every chain; does nothing if it is already there',
    load: async () => (await import('./commands/deploy.ts')).deployCommand(),
  },
  {
    name: 'recover',
    summary: 'show what a database restored from an old copy has lost; with --yes accept the loss and continue',
    load: async () => (await import('./commands/recover.ts')).recoverCommand(),
  },
];
