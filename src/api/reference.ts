import { createHash } from 'node:crypto';
import type { Router } from 'express';
import { z } from 'zod';
import { described, jsonAnswer } from './description.ts';
import { type OpenApi, openApi } from './openapi.ts';
import { BASE, htmlText, referencePage, STYLE } from './reference-page.ts';
import { exactRouter } from './routing.ts';
import { publicRead } from './tiles.ts';

const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The API's description of itself: all routes of `routers`, and its own. */
export function referenceRoutes(routers: readonly Router[]): Router {
  let made: { readonly document: OpenApi; readonly json: string; readonly page: string } | undefined;
  const reference = (): { document: OpenApi; json: string; page: string } => {
    if (made === undefined) {
      const document = openApi([...routers, router]);
      made = { document, json: JSON.stringify(document), page: referencePage(document) };
    }
    return made;
  };
  const router = exactRouter()
    .get(
      '/openapi.json',
      described({
        id: 'getOpenApi',
        tag: 'Operation',
        summary: 'This API as OpenAPI 3.1',
        access: 'public',
        answers: {
          200: jsonAnswer('The document, made from the schemas that validate.', z.record(z.string(), z.unknown())),
        },
      }),
      publicRead,
      (_request, response) => {
        response.set('Cache-Control', 'no-cache').type('application/json').send(reference().json);
      },
    )
    .get(
      '/docs',
      described({
        id: 'getReference',
        tag: 'Operation',
        summary: 'This API for people',
        access: 'public',
        answers: {
          200: {
            says: 'A page without scripts and without anything from elsewhere.',
            content: { 'text/html': 'text' },
          },
        },
      }),
      (request, response) => {
        const base = `${request.protocol}://${request.get('host') ?? 'localhost'}`;
        response
          .set({ 'Content-Security-Policy': POLICY, 'Cache-Control': 'no-cache' })
          .type('text/html; charset=utf-8')
          .send(reference().page.replaceAll(BASE, htmlText(base)));
      },
    );
  return router;
}
