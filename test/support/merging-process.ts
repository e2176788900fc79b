// A process that puts runs of the digest index together until it is killed.

import { mergeRuns } from '../../src/log/digest-merging.ts';
import { openDatabase } from '../../src/store/database.ts';

const database = openDatabase(process.argv[2] ?? '', { connections: 1 });
process.send?.('merging');
while ((await mergeRuns(database, { rows: 16 })) > 0);
process.send?.('merged');
await database.end();
process.disconnect();
