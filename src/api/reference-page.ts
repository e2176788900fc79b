import { exampleOf } from './examples.ts';
import type { ContentMap, OpenApi, OperationObject, Parameter, Schema } from './openapi.ts';

/** All of the page's style; the policy it is sent with allows this text and no other. */
export const STYLE = `
:root{color-scheme:light dark;--ground:light-dark(#fff,#14161a);--panel:light-dark(#f5f6f8,#1c1f25);--text:light-dark(#1b1f24,#e3e6ea);--faint:light-dark(#5a6472,#9aa4b2);--line:light-dark(#dde1e7,#30353e);--accent:light-dark(#0b57a4,#7db7f5)}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:16px/1.5 system-ui,sans-serif;display:grid;grid-template-columns:17rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;padding:1.5rem 1rem;border-right:1px solid var(--line);background:var(--panel);font-size:.875rem}
nav h2{font-size:.75rem;letter-spacing:.06em;text-transform:uppercase;color:var(--faint);margin:1.2rem 0 .3rem}
nav ul{list-style:none;margin:0;padding:0}
nav a{display:block;padding:.15rem 0;color:inherit;text-decoration:none}
nav a:hover,nav a:focus{color:var(--accent);text-decoration:underline}
main{padding:2rem clamp(1rem,4vw,3.5rem);max-width:62rem}
h1{margin:0 0 .5rem}h2{margin:3rem 0 .25rem}
article{border:1px solid var(--line);border-radius:.5rem;margin:1.25rem 0;padding:1rem 1.25rem;scroll-margin-top:1rem}
article h3{margin:0 0 .5rem;font-size:1rem;font-weight:600}
h4{margin:1rem 0 .25rem;font-size:.8125rem;color:var(--faint)}
code,pre{font:.84375rem/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.route{display:flex;gap:.6rem;flex-wrap:wrap;align-items:baseline;margin:0 0 .4rem}
.method{font:600 .75rem ui-monospace,monospace;border:1px solid currentColor;border-radius:.25rem;padding:.05rem .4rem;color:var(--accent)}
.scope{font-size:.8125rem;color:var(--faint);margin-left:auto}
pre{white-space:pre-wrap;background:var(--panel);border-radius:.35rem;margin:.25rem 0;padding:.6rem .8rem}
table{border-collapse:collapse;width:100%;font-size:.875rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-top:1px solid var(--line)}
th{font-weight:600;white-space:nowrap}
summary{cursor:pointer;margin:1rem 0 0;font-size:.875rem;color:var(--accent)}
a{color:var(--accent)}p{margin:.4rem 0}
@media(max-width:50rem){body{display:flex;flex-direction:column}nav{order:2;position:static;height:auto;border:0;border-top:1px solid var(--line)}table,tbody,tr,td,th{display:block}td,th{border:0;padding:.1rem 0}tr{border-top:1px solid var(--line);padding:.3rem 0}}
`;

interface Listed {
  readonly method: string;
  readonly path: string;
  readonly operation: OperationObject;
}

/** Stands in the page for the address of the service, which depends on how it was asked. */
export const BASE = 'http://service.invalid';

/** The document as one page of HTML, without scripts. */
export function referencePage(document: OpenApi): string {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Listed => ({ method: method.toUpperCase(), path, operation })),
  );
  const groups = document.tags
    .map((tag) => ({ ...tag, listed: all.filter(({ operation }) => operation.tags.includes(tag.name)) }))
    .filter(({ listed }) => listed.length > 0);
  const { title, version, description } = document.info;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${htmlText(title)} API</title><style>${STYLE}</style></head><body>
<nav aria-label="Operations"><strong>${htmlText(title)} API v${htmlText(version)}</strong>
${groups.map(({ name, listed }) => `<h2>${htmlText(name)}</h2><ul>${listed.map(link).join('')}</ul>`).join('\n')}
<h2>Forms</h2><ul>${Object.keys(document.components.schemas)
    .map((name) => `<li><a href="#form-${htmlText(name)}">${htmlText(name)}</a></li>`)
    .join('')}</ul></nav>
<main><h1>${htmlText(title)} API</h1><p>${prose(description)}</p><p>The same for machines: <a href="openapi.json">/openapi.json</a>.
Where a call needs a key, add the header <code>Authorization: Bearer aq_…</code> to its example.
For appending from JavaScript and Python there are clients, which send in batches, repeat what got lost and check the answers.</p>
${groups
  .map(
    ({ name, description: about, listed }) =>
      `<section><h2>${htmlText(name)}</h2><p>${prose(about)}</p>${listed.map(article).join('')}</section>`,
  )
  .join('\n')}
<section><h2>Forms</h2>${Object.entries(document.components.schemas)
    .map(
      ([name, schema]) =>
        `<article id="form-${htmlText(name)}"><h3>${htmlText(name)}</h3>${about(schema)}<pre>${form(schema, 0)}</pre></article>`,
    )
    .join('')}</section></main></body></html>
`;
}

const link = ({ operation }: Listed): string =>
  `<li><a href="#${htmlText(operation.operationId)}">${htmlText(operation.summary)}</a></li>`;

function article({ method, path, operation }: Listed): string {
  const { operationId, summary, description, parameters, requestBody, responses } = operation;
  const scope = operation['x-scope'];
  const key = operation.security.length === 0 ? 'no key' : scope === undefined ? 'any key' : `key with ${scope}`;
  return `<article id="${htmlText(operationId)}"><h3>${htmlText(summary)}</h3>
<p class="route"><span class="method">${htmlText(method)}</span><code>${htmlText(path)}</code><span class="scope">${htmlText(key)}</span></p>
${description === undefined ? '' : `<p>${prose(description)}</p>`}
${parameters.length === 0 ? '' : `<h4>Parameters</h4><table>${parameters.map(row).join('')}</table>`}
${requestBody === undefined ? '' : `<h4>Body</h4>${contents(requestBody.content)}`}
<h4>Answers</h4><table>${Object.entries(responses)
    .map(
      ([status, { description: says, content }]) =>
        `<tr><th>${htmlText(status)}</th><td>${prose(says)}${Number(status) < 400 ? contents(content ?? {}) : ''}</td></tr>`,
    )
    .join('')}</table>${example(method, path, operation)}</article>`;
}

function example(method: string, path: string, operation: OperationObject): string {
  const { curl, javascript } = exampleOf(BASE, method, path, operation);
  return `<details><summary>Example</summary><h4>curl</h4><pre>${htmlText(curl)}</pre><h4>JavaScript</h4><pre>${htmlText(javascript)}</pre></details>`;
}

function row({ name, in: where, required, description, schema }: Parameter): string {
  const need = required ? '' : ', optional';
  return `<tr><th><code>${htmlText(name)}</code></th><td>${htmlText(where)}${need}: <code>${form(schema, 0)}</code>${
    description === undefined ? '' : `<br>${prose(description)}`
  }</td></tr>`;
}

function contents(content: ContentMap): string {
  return Object.entries(content)
    .map(
      ([type, { schema }]) =>
        `<p><code>${htmlText(type)}</code>${schema === undefined ? ': bytes' : ''}</p>${schema === undefined ? '' : `<pre>${form(schema, 0)}</pre>`}`,
    )
    .join('');
}

const about = (schema: Schema): string =>
  typeof schema.description === 'string' ? `<p>${prose(schema.description)}</p>` : '';

/** A schema as one would write a type, in HTML. */
function form(schema: unknown, depth: number): string {
  if (!isSchema(schema)) return 'anything';
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1);
    return `<a href="#form-${htmlText(name)}">${htmlText(name)}</a>`;
  }
  if ('const' in schema) return htmlText(JSON.stringify(schema.const));
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => htmlText(JSON.stringify(value))).join(' | ');
  const variants = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(variants)) return variants.map((variant) => form(variant, depth)).join(' | ');
  if (Array.isArray(schema.allOf)) return schema.allOf.map((part) => form(part, depth)).join(' &amp; ');
  if (schema.type === 'array') {
    const element = form(schema.items, depth);
    return element.includes(' | ') ? `(${element})[]` : `${element}[]`;
  }
  if (schema.type === 'object' && isSchema(schema.properties)) return objectForm(schema, schema.properties, depth);
  return `${htmlText(typeof schema.type === 'string' ? schema.type : 'anything')}${bounds(schema)}`;
}

function objectForm(schema: Schema, properties: Schema, depth: number): string {
  const required: readonly unknown[] = Array.isArray(schema.required) ? schema.required : [];
  const indent = '  '.repeat(depth + 1);
  const lines = Object.entries(properties).map(([name, member]) => {
    const note =
      isSchema(member) && typeof member.description === 'string' ? `  // ${htmlText(member.description)}` : '';
    return `${indent}${htmlText(name)}${required.includes(name) ? '' : '?'}: ${form(member, depth + 1)}${note}`;
  });
  return lines.length === 0 ? '{}' : `{\n${lines.join('\n')}\n${'  '.repeat(depth)}}`;
}

function bounds({ type, format, pattern, minimum, maximum, minLength, maxLength, default: preset }: Schema): string {
  const told: string[] = [];
  if (typeof format === 'string') told.push(format);
  else if (typeof pattern === 'string') told.push(`/${pattern}/`);
  const [least, most] = type === 'string' ? [minLength, maxLength] : [minimum, maximum];
  if (typeof least === 'number' && Math.abs(least) < Number.MAX_SAFE_INTEGER) told.push(`≥ ${least}`);
  if (typeof most === 'number' && Math.abs(most) < Number.MAX_SAFE_INTEGER) told.push(`≤ ${most}`);
  if (preset !== undefined && preset !== Number.MAX_SAFE_INTEGER) told.push(`default ${JSON.stringify(preset)}`);
  return told.length === 0 ? '' : ` ${htmlText(told.join(', '))}`;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as HTML shows it. */
export const htmlText = (raw: string): string => raw.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');

/** Text in which backquotes mark code. */
const prose = (raw: string): string => htmlText(raw).replace(/`([^`]*)`/g, '<code>$1</code>');
