import type { Request, RequestHandler, Response, Router } from 'express';
import { openPage } from '../pages/pages.ts';
import { described } from './description.ts';
import { exactRouter } from './routing.ts';

const page = (id: string, summary: string): RequestHandler =>
  described({
    id,
    tag: 'Operation',
    summary,
    access: 'public',
    answers: {
      200: { says: 'The page.', content: { 'text/html': 'text' } },
      304: { says: 'It is the one that the client has.' },
    },
  });

/** The pages: what the service shows of itself, and the verifier, which needs no service. They hold no secret. */
export function pageRoutes(): Router {
  return exactRouter()
    .get('/', page('readPage', 'What the service shows of itself'), (request, response) =>
      sendPage('service', request, response),
    )
    .get('/verify', page('readVerifier', 'The verifier, which needs no service'), (request, response) =>
      sendPage('verify', request, response),
    );
}

/** Answers a browser that asks for an unknown address with a page; others get the problem. */
export const notFoundPage: RequestHandler = (request, response, next) => {
  if (request.method !== 'GET' || request.accepts(['application/problem+json', 'text/html']) !== 'text/html') {
    next();
    return;
  }
  // Relative, since a proxy may have taken a path away.
  const root = '../'.repeat(Math.max(0, request.path.split('/').length - 2)) || './';
  response
    .status(404)
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Nothing here · Antequem</title></head><body><main><h1>There is nothing here</h1><p><a href="${root}">To the overview of the service</a></p></main></body></html>`,
    );
};

async function sendPage(name: 'service' | 'verify', request: Request, response: Response): Promise<void> {
  const { html, gzipped, policy, etag } = await openPage(name);
  response.set({
    'Content-Security-Policy': policy,
    'Cache-Control': 'no-cache',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    ETag: etag,
    Vary: 'Accept-Encoding',
  });
  if (request.fresh) return void response.status(304).end();
  response.type('text/html; charset=utf-8');
  if (request.acceptsEncodings('gzip') === false) return void response.send(html);
  response.set('Content-Encoding', 'gzip').send(gzipped);
}
