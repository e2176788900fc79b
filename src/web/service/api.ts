// Calls the service's API with the session's cookie.

import type * as z from 'zod/mini';
import { problemAnswer } from './answers.ts';
import { signedOut } from './session.ts';

/** An answer with an error, or no answer. */
export class ApiFailure extends Error {
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'ApiFailure';
    this.status = status;
    this.code = code;
  }
}

export interface Asking {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly body?: BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The path of a log's resources in the API. */
export const logPath = (log: string): string => `v1/logs/${encodeURIComponent(log)}`;

/** @throws ApiFailure */
export async function ask<T extends z.ZodMiniType>(path: string, form: T, asking: Asking = {}): Promise<z.output<T>> {
  const response = await send(path, asking);
  const parsed = form.safeParse(await response.json());
  if (!parsed.success)
    throw new ApiFailure(response.status, 'answer-unknown', 'The answer of the service has an unknown format.');
  return parsed.data;
}

/** @throws ApiFailure if the answer is a problem, or there is no answer */
export async function send(path: string, { signal, ...asking }: Asking = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...asking, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiFailure(0, 'unreachable', 'The service cannot be reached.');
  }
  if (response.ok) return response;
  if (response.status === 401) signedOut();
  const { code, detail } = problemAnswer.safeParse(await response.json().catch(() => null)).data ?? {
    code: 'unknown',
    detail: `The service answered with status ${response.status}.`,
  };
  throw new ApiFailure(response.status, code, detail);
}
