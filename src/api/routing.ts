import { Router } from 'express';
import { Problem } from './problem.ts';

/** Routes with one spelling each: what guards `/v1` must not be passed by `/V1`. */
export function exactRouter(): Router {
  return Router({ caseSensitive: true, strict: true });
}

/** Behind all routes: tells, for a path of theirs, which methods it has. (OPTIONS a router answers by itself.) */
export function otherMethods(routers: readonly Router[]): Router {
  const methods = new Map<string, Set<string>>();
  for (const { route } of routers.flatMap((router) => router.stack)) {
    if (route === undefined) continue;
    const known = methods.get(route.path) ?? new Set();
    for (const { method } of route.stack) {
      known.add(method.toUpperCase());
      if (method === 'get') known.add('HEAD');
    }
    methods.set(route.path, known);
  }
  const rest = exactRouter();
  for (const [path, known] of methods) {
    const allow = [...known].sort().join(', ');
    rest.all(path, (request) => {
      throw new Problem('method-not-allowed', `${request.method} does not go here: ${allow} do`, { Allow: allow });
    });
  }
  return rest;
}
