import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { PageName } from './bundle.ts';

const compress = promisify(gzip);

/** A page as it is served. */
export interface Page {
  readonly html: Buffer;
  readonly gzipped: Buffer;
  /** Content-Security-Policy; as in the page, with `frame-ancestors` in addition. */
  readonly policy: string;
  /** Strong, of the HTML. */
  readonly etag: string;
}

const known = new Map<PageName, Promise<Page>>();

/** The page: from the package's files; in a checkout, where nothing is built, made when first asked for. */
export function openPage(name: PageName): Promise<Page> {
  const page = known.get(name) ?? readPage(name);
  known.set(name, page);
  // A page that could not be made is tried again.
  page.catch(() => known.delete(name));
  return page;
}

async function readPage(name: PageName): Promise<Page> {
  const html = Buffer.from(
    import.meta.url.endsWith('.ts')
      ? await (await import('./bundle.ts')).bundlePage(name)
      : await readFile(new URL(`../web/${name}.html`, import.meta.url), 'utf8'),
  );
  const [, policy = ''] = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html.toString()) ?? [];
  return {
    html,
    gzipped: await compress(html, { level: 9 }),
    policy: `${policy}; frame-ancestors 'none'`,
    etag: `"${createHash('sha256').update(html).digest('base64url')}"`,
  };
}
