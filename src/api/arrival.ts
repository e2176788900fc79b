import type { Response } from 'express';
import type { Problem } from './problem.ts';

/** The ways in, as metrics and warnings name them. */
export type WayIn = 'entries' | 'digests' | 'kubernetes-audit' | 'cloudevents' | 'otlp' | 'source';

/** A problem in the form that a sender reads. */
export interface ProblemForm {
  readonly type: string;
  readonly body: string | Uint8Array;
}

/** A request that brings something to be logged. */
export interface Arrival {
  readonly way: WayIn;
  /** As the path names it. */
  readonly log: string;
  /** The id of the API key, or the name of the source; null where there is none, or it is not known yet. */
  key: string | null;
  /** What a refusal of it is answered with; null: the problem of RFC 9457. */
  readonly form: ((problem: Problem) => ProblemForm) | null;
}

const ARRIVAL = Symbol('arrival');

declare global {
  namespace Express {
    interface Locals {
      [ARRIVAL]?: Arrival;
    }
  }
}

/** Notes what the request of this response brings. Returns it, for what becomes known later. */
export function noteArrival(response: Response, arrival: Arrival): Arrival {
  response.locals[ARRIVAL] = arrival;
  return arrival;
}

/** Undefined for a request that brings nothing to be logged. */
export function arrivalOf(response: Response): Arrival | undefined {
  return response.locals[ARRIVAL];
}
