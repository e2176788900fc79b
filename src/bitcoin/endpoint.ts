import { collectAtMost } from '../core/bounded.ts';
import { toBase64, utf8 } from '../core/bytes.ts';
import { AntequemError, FormatError } from '../core/errors.ts';
import { parseHttpUrl } from '../core/http-url.ts';

const TIMEOUT_MS = 10_000;
/** A header has 160 hex digits; the rest is for error messages of nodes. */
const MAX_ANSWER = 16_384;

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** An HTTP server. Messages show the host of its URL alone. */
export interface Endpoint {
  /** `host` or `host:port`. */
  readonly host: string;
  /** From the URL: `user:password`, null without. */
  readonly login: string | null;
  /**
   * One request, answered within ten seconds in at most 16 KiB. Redirects are not followed.
   * @param path is appended to the path of the URL
   * @throws AntequemError `bitcoin-failed`
   */
  ask(path: string, request?: { body?: string; login?: string | null }): Promise<HttpAnswer>;
}

/** @throws FormatError `bitcoin-url` */
export function endpoint(text: string, timeout: number = TIMEOUT_MS): Endpoint {
  const url = parseHttpUrl(text);
  if (url === null) {
    // Without the text: it may hold a password.
    throw new FormatError('bitcoin-url', 'the URL of a Bitcoin source begins with http:// or https:// and a host');
  }
  const { host, origin, pathname, search } = url;
  const base = pathname.replace(/\/$/, '');
  return {
    host,
    login: loginOf(url),
    async ask(path, { body, login } = {}) {
      const headers: Record<string, string> = {};
      if (body !== undefined) headers['content-type'] = 'application/json';
      if (login != null) headers.authorization = `Basic ${toBase64(utf8(login))}`;
      try {
        const response = await fetch(`${origin}${base}${path}${search}`, {
          method: body === undefined ? 'GET' : 'POST',
          headers,
          body: body ?? null,
          redirect: 'error',
          signal: AbortSignal.timeout(timeout),
        });
        return { status: response.status, text: await boundedText(response) };
      } catch (error) {
        throw new AntequemError('bitcoin-failed', `${host} did not answer: ${reasonOf(error)}`);
      }
    },
  };
}

function loginOf({ username, password }: URL): string | null {
  if (username === '' && password === '') return null;
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    throw new FormatError('bitcoin-url', 'user or password in the URL of a Bitcoin source are not percent-encoded');
  }
}

async function boundedText(response: Response): Promise<string> {
  const bytes = await collectAtMost(response.body, MAX_ANSWER);
  if (bytes === null) throw new AntequemError('bitcoin-failed', `more than ${MAX_ANSWER} bytes`);
  return new TextDecoder().decode(bytes);
}

/** Why a request failed, without the URL. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'for a reason unknown';
  if (error instanceof AntequemError) return error.message;
  if (error.name === 'TimeoutError') return 'it took too long';
  // Only Node says what happened to the connection.
  if (!(error.cause instanceof Error)) return 'it may be down, or refuse pages of other sites (CORS)';
  if (/redirect/.test(error.cause.message)) return 'it sent a redirect, which is not followed';
  return 'code' in error.cause ? String(error.cause.code) : 'the connection failed';
}
