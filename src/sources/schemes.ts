// The schemes by name, and what senders that are known by name use of them.

import { z } from 'zod';
import { FormatError } from '../core/errors.ts';
import { eventGrid } from './event-grid.ts';
import { hmac } from './hmac.ts';
import { pubsub } from './pubsub.ts';
import type { Scheme, SecretForm, SenderCheck } from './scheme.ts';
import { SCHEME_CHOICES, type SchemeName, type SenderName } from './scheme-names.ts';
import { secretHeader } from './secret-header.ts';
import { sns } from './sns.ts';
import { standardWebhooks } from './standard-webhooks.ts';
import { timestampedHmac } from './timestamped-hmac.ts';
import { vercelDrain } from './vercel-drain.ts';

const SCHEMES = {
  'standard-webhooks': standardWebhooks,
  hmac,
  'timestamped-hmac': timestampedHmac,
  'secret-header': secretHeader,
  'vercel-drain': vercelDrain,
  sns,
  'event-grid': eventGrid,
  pubsub,
} as const satisfies Readonly<Record<SchemeName, Scheme>>;

/** Senders by name: their scheme and its settings. */
const PRESETS: Readonly<Record<SenderName, { readonly scheme: SchemeName; readonly settings: object }>> = {
  hoop: { scheme: 'standard-webhooks', settings: {} },
  svix: { scheme: 'standard-webhooks', settings: {} },
  github: {
    scheme: 'hmac',
    settings: {
      header: 'x-hub-signature-256',
      prefix: 'sha256=',
      deliveryHeader: 'x-github-delivery',
      eventHeader: 'x-github-event',
    },
  },
  snyk: {
    scheme: 'hmac',
    settings: {
      header: 'x-hub-signature',
      prefix: 'sha256=',
      deliveryHeader: 'x-snyk-transport-id',
      eventHeader: 'x-snyk-event',
    },
  },
  vercel: { scheme: 'hmac', settings: { header: 'x-vercel-signature', hash: 'sha1' } },
  stripe: { scheme: 'timestamped-hmac', settings: { header: 'stripe-signature' } },
  slack: {
    scheme: 'timestamped-hmac',
    settings: {
      header: 'x-slack-signature',
      timestampHeader: 'x-slack-request-timestamp',
      version: 'v0',
      template: 'version:time:body',
    },
  },
  auth0: { scheme: 'secret-header', settings: {} },
  okta: { scheme: 'secret-header', settings: { challengeHeader: 'x-okta-verification-challenge', items: false } },
  cloudflare: { scheme: 'secret-header', settings: {} },
  datadog: { scheme: 'secret-header', settings: {} },
  gitlab: { scheme: 'secret-header', settings: { header: 'x-gitlab-event-streaming-token', items: false } },
};

/** A scheme by its name, or by that of a sender with what this sender uses of it. @param choice one of those in scheme-names.ts */
export function namedScheme(choice: SchemeName | SenderName): {
  readonly name: SchemeName;
  readonly scheme: Scheme;
  readonly preset: object;
} {
  const { scheme: name, settings: preset } = isSenderName(choice) ? PRESETS[choice] : { scheme: choice, settings: {} };
  return { name, scheme: SCHEMES[name], preset };
}

/** A scheme with its settings, checked and complete. */
export interface Chosen {
  readonly scheme: SchemeName;
  readonly settings: object;
  readonly secret: SecretForm;
  open(): SenderCheck;
}

/**
 * @param choice a scheme, or a sender that is known by name
 * @param settings what differs from the defaults, or from the sender's
 * @throws FormatError `source-invalid`
 */
export function chooseScheme(choice: string, settings: object): Chosen {
  if (!isSchemeName(choice) && !isSenderName(choice)) {
    throw new FormatError('source-invalid', `the scheme is one of ${SCHEME_CHOICES.join(', ')}`);
  }
  const { name, scheme, preset } = namedScheme(choice);
  try {
    const { open, ...parsed } = scheme.parse({ ...preset, ...settings });
    return { scheme: name, ...parsed, open };
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    const faults = error.issues.map(({ path, message }) => `${path.join('.') || 'settings'}: ${message}`);
    throw new FormatError('source-invalid', `the settings of ${choice} are wrong: ${faults.slice(0, 5).join('; ')}`);
  }
}

function isSchemeName(name: string): name is SchemeName {
  return Object.hasOwn(SCHEMES, name);
}

function isSenderName(name: string): name is SenderName {
  return Object.hasOwn(PRESETS, name);
}
