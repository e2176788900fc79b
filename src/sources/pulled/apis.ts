// The APIs by name (scheme-names.ts).

import { z } from 'zod';
import { FormatError } from '../../core/errors.ts';
import { type ApiName, isApiName } from '../scheme-names.ts';
import type { PulledApi, PulledScheme } from './api.ts';
import { hoopAudit } from './hoop.ts';
import { snykAudit } from './snyk.ts';

export const PULLED_APIS: Readonly<Record<ApiName, PulledScheme>> = {
  'snyk-audit': snykAudit,
  'hoop-audit': hoopAudit,
};

/** An API with its settings, checked and complete. */
export interface ChosenApi {
  readonly kind: 'pull';
  readonly scheme: string;
  readonly settings: { readonly from?: string | undefined; readonly pauseSeconds: number };
  readonly secret: 'given';
  open(): PulledApi;
}

/** Null: there is no such API. @throws FormatError `source-invalid` */
export function chooseApi(choice: string, settings: object): ChosenApi | null {
  if (!isApiName(choice)) return null;
  try {
    return { kind: 'pull', scheme: choice, secret: 'given', ...PULLED_APIS[choice].parse(settings) };
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    const faults = error.issues.map(({ path, message }) => `${path.join('.') || 'settings'}: ${message}`);
    throw new FormatError('source-invalid', `the settings of ${choice} are wrong: ${faults.slice(0, 5).join('; ')}`);
  }
}
