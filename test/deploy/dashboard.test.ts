// The dashboard has the fields that Grafana's own types have, in the dashboard, its panels and their options.

import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { compilerFaults } from '../support/compiler-faults.ts';

const OPTIONS = { timeseries: 'TimeSeries', stat: 'Stat' } as const;

const panelForm = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('row') }),
  z.looseObject({
    type: z.enum(['timeseries', 'stat']),
    options: z.json(),
    fieldConfig: z.looseObject({ defaults: z.looseObject({ custom: z.json().optional() }) }),
  }),
]);
const dashboardForm = z.looseObject({ panels: z.array(panelForm) });

function typed(value: unknown, type: string): string {
  return `(${JSON.stringify(value, null, 1)}) satisfies Plain<${type}>;`;
}

/** The dashboard as a program that Grafana's types must hold for. */
function programOf(text: string): string {
  const { panels, ...frame } = dashboardForm.parse(JSON.parse(text));
  const folder = '@grafana/schema/dist/esm/raw/composable';
  return [
    "import type { Dashboard, GraphFieldConfig, Panel, RowPanel } from '@grafana/schema';",
    `import type { Options as TimeSeries } from '${folder}/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';`,
    `import type { Options as Stat } from '${folder}/stat/panelcfg/x/StatPanelCfg_types.gen';`,
    // Enums as their values; what the panels or the server fill in may be absent.
    `type Plain<T> = T extends string ? \`\${T}\` : T extends readonly (infer U)[] ? Plain<U>[]`,
    '  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;',
    typed(frame, 'Partial<Dashboard>'),
    ...panels.flatMap((panel) => {
      if (panel.type === 'row') return [typed(panel, 'RowPanel')];
      const { options, fieldConfig, ...rest } = panel;
      const { custom, ...defaults } = fieldConfig.defaults;
      return [
        typed({ ...rest, fieldConfig: { ...fieldConfig, defaults } }, 'Partial<Panel>'),
        typed(options, `Partial<${OPTIONS[panel.type]}>`),
        ...(custom === undefined ? [] : [typed(custom, 'Partial<GraphFieldConfig>')]),
      ];
    }),
  ].join('\n');
}

test('the dashboard has the fields of Grafana, and would not pass with others', async () => {
  const text = await readFile(new URL('../../deploy/grafana/dashboard.json', import.meta.url), 'utf8');
  const wrong = text.replace('"colorMode": "value"', '"colorMode": "colourful"').replace('"gridPos"', '"gridPosition"');
  const [faults, complaint] = [await compilerFaults(programOf(text)), await compilerFaults(programOf(wrong))];
  expect(faults).toBe('');
  expect(complaint).toMatch(/colourful/);
  expect(complaint).toMatch(/gridPosition/);
});
