/** How senders sign. */
export const SCHEME_NAMES = [
  'standard-webhooks',
  'hmac',
  'timestamped-hmac',
  'secret-header',
  'vercel-drain',
  'sns',
  'event-grid',
  'pubsub',
] as const;
export type SchemeName = (typeof SCHEME_NAMES)[number];

/** Senders that are known by name: what they use of a scheme need not be told. */
export const SENDER_NAMES = [
  'hoop',
  'svix',
  'github',
  'snyk',
  'vercel',
  'stripe',
  'slack',
  'auth0',
  'okta',
  'cloudflare',
  'datadog',
  'gitlab',
] as const;
export type SenderName = (typeof SENDER_NAMES)[number];

/** APIs that events are fetched from. */
export const API_NAMES = ['snyk-audit', 'hoop-audit'] as const;
export type ApiName = (typeof API_NAMES)[number];

export function isApiName(name: string): name is ApiName {
  return API_NAMES.some((each) => each === name);
}

/** What a source is made with. */
export const SCHEME_CHOICES: readonly string[] = [...SCHEME_NAMES, ...SENDER_NAMES, ...API_NAMES];
