// Brings a database up to date, moves its entries into blocks and packs the leaves of its rounds, as a service does when it starts: to be killed meanwhile.

import { packLeaves } from '../../src/anchor/unpacked.ts';
import { moveEntries } from '../../src/log/unmoved.ts';
import { openDatabase } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';

const url = process.argv[2] ?? '';
process.send?.('begins');
await migrate(url);
const database = openDatabase(url, { connections: 2 });
await moveEntries(database, {
  onProgress: () => {},
  onDamage: (says) => {
    throw new Error(says);
  },
});
await packLeaves(database, () => {}, 1);
await database.end();
process.disconnect?.();
