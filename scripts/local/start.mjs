// Plain JavaScript: an older Node, which cannot read TypeScript, gets this far and is told what to do.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 6)) {
  console.error(
    `antequem needs Node 24.6 or newer; this is ${process.version}. Without installing one: npx -y -p node@24 -c 'npm start'`,
  );
  process.exit(1);
}
if (process.platform === 'win32' && !process.env.DATABASE_URL) {
  console.error('On Windows there is no PostgreSQL of our own: set DATABASE_URL to one of yours.');
  process.exit(1);
}
const { beginWithServiceMemory } = await import('../../src/start/memory.ts');
beginWithServiceMemory();
await import('./start.ts');
