// What lies where in the public archive, beside what a mirror has (audit/remote/layout.ts).

import { tilePath } from '../core/tiles.ts';

export const MANIFEST = 'manifest.json';

/** A round without its leaves: root, link and anchors. */
export function rootPath(round: number): string {
  return `rounds/${tilePath(round)}`;
}
