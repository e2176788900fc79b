// What ethers throws, in the node's own words.

/** What the node said when it rejected a request, without ethers' dump of the whole request around it. */
export function rejectionReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('info' in error && isObject(error.info) && isObject(error.info.error)) {
    const message = error.info.error.message;
    if (typeof message === 'string') return message;
  }
  if ('error' in error && isObject(error.error) && typeof error.error.message === 'string') {
    return error.error.message;
  }
  return 'shortMessage' in error && typeof error.shortMessage === 'string' ? error.shortMessage : error.message;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
