// Writes docs/schemas/*.json from the schemas that the code itself uses; `--check` only compares.

import { readFileSync, writeFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { MAX_ANCHOR_BYTES, RECEIPT_FORMAT, receiptAnchorSchema, receiptSchema } from '../src/core/receipt-schema.ts';
import { VERDICT_FORMAT } from '../src/core/verdict.ts';
import { verdictSchema } from '../src/core/verdict-schema.ts';

const FOLDER = new URL('../docs/schemas/', import.meta.url);

/** The JSON Schemas (draft 2020-12) to publish: file name and text. */
export function publishedSchemas(): { readonly name: string; readonly text: string }[] {
  return [
    {
      name: 'receipt-v1.json',
      title: RECEIPT_FORMAT,
      schema: z.toJSONSchema(receiptSchema, { override: describeAnchors }),
    },
    // verdict-v1.json is that of releases before moments had a tolerance, and stays as it is.
    { name: 'verdict-v1.1.json', title: VERDICT_FORMAT, schema: z.toJSONSchema(verdictSchema) },
  ].map(({ name, title, schema: { $schema, ...rest } }) => ({
    name,
    text: `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`,
  }));
}

/** Says of anchors what a JSON Schema has no words for. */
function describeAnchors({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodType;
  jsonSchema: { description?: string };
}) {
  if (zodSchema !== receiptAnchorSchema) return;
  jsonSchema.description =
    'An anchor of a type that a verifier does not know, and unknown members of a known one, are kept and never refute. ' +
    `An anchor has at most ${MAX_ANCHOR_BYTES} bytes as JSON without white space; a receipt is nested 32 levels deep at most.`;
}

/** The text of a schema as committed; empty where there is none. */
export function committedSchema(name: string): string {
  try {
    return readFileSync(new URL(name, FOLDER), 'utf8');
  } catch {
    return '';
  }
}

if (import.meta.main) {
  const stale = publishedSchemas().filter(({ name, text }) => committedSchema(name) !== text);
  if (process.argv.includes('--check')) {
    for (const { name } of stale)
      console.error(`docs/schemas/${name} is not what the code says: node scripts/schemas.ts`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    for (const { name, text } of stale) writeFileSync(new URL(name, FOLDER), text);
  }
}
