import { describe, expect, test } from 'vitest';
import { committedSchema, publishedSchemas } from '../../scripts/schemas.ts';

describe.each(publishedSchemas())('docs/schemas/$name', ({ name, text }) => {
  test('is what the code says', () => expect(committedSchema(name)).toBe(text));

  test('bounds every string, number and list, and allows unknown members only below anchors', () => {
    const open: string[] = [];
    const walk = (node: unknown, at: string): void => {
      if (typeof node !== 'object' || node === null) return;
      const has = (key: string): boolean => key in node;
      const type = 'type' in node ? node.type : undefined;
      const bounded =
        type === 'object'
          ? at.includes('/anchors/items') || ('additionalProperties' in node && node.additionalProperties === false)
          : type === 'array'
            ? has('maxItems')
            : type === 'integer'
              ? has('minimum') && has('maximum')
              : type === 'string'
                ? ['const', 'enum', 'pattern', 'maxLength', 'allOf'].some(has)
                : true;
      if (!bounded) open.push(at);
      for (const [key, each] of Object.entries(node)) walk(each, `${at}/${key}`);
    };
    walk(JSON.parse(text), '');
    expect(open).toEqual([]);
    expect(text.length).toBeGreaterThan(1_000);
  });
});
