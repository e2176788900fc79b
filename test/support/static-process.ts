// A plain web server over a folder, in a process of its own: node static-process.ts FOLDER

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const folder = process.argv[2] ?? '.';
const server = createServer((request, response) => {
  try {
    response.end(readFileSync(join(folder, ...(request.url ?? '').split('/'))));
  } catch {
    response.writeHead(404).end();
  }
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.send?.({ port: address.port });
});
process.on('disconnect', () => process.exit());
