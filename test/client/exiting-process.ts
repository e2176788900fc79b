// Appends, waits for nothing and ends by itself, as an application does that knows no better.

import { Client } from '../../src/client/client.ts';

const [, , url = '', log = '', count = ''] = process.argv;
const writer = new Client({ url }).log(log);
for (let i = 0; i < Number(count); i++) writer.append(`entry ${i}`);
console.log(`buffered ${writer.buffered}`);
