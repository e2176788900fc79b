// Mutants of a module: copies of its source in which one expression or statement is another.

import { parseAst } from 'rolldown/parseAst';

export interface Mutant {
  readonly line: number;
  /** What was replaced by what, on one line. */
  readonly says: string;
  /** The whole module with the change. */
  readonly source: string;
}

const OPERATORS: Readonly<Record<string, string>> = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '===': '!==',
  '!==': '===',
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '*',
  '<<': '>>',
  '>>': '<<',
  '>>>': '<<',
  '&': '|',
  '|': '&',
  '^': '&',
  '&&': '||',
  '||': '&&',
  '??': '&&',
};

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value && 'end' in value;
}

/** Every mutant of the module, in the order of its source. Text is left alone: most of it is for people. */
export function mutantsOf(source: string): Mutant[] {
  const mutants: Mutant[] = [];
  const replace = (start: number, end: number, by: string): void => {
    const short = (text: string): string => text.replace(/\s+/g, ' ').slice(0, 60);
    mutants.push({
      line: source.slice(0, start).split('\n').length,
      says: `${short(source.slice(start, end))} → ${by === '' ? 'nothing' : short(by)}`,
      source: source.slice(0, start) + by + source.slice(end),
    });
  };
  const text = (node: Node): string => source.slice(node.start, node.end);
  const visit = (node: Node): void => {
    // Types and imports are gone when it runs.
    if (node.type.startsWith('TS') && !/^TS(As|Satisfies|NonNull)/.test(node.type)) return;
    if (node.type === 'ImportDeclaration' || (node.type === 'Literal' && typeof node.value === 'string')) return;
    const { left, right, operator, test, argument, value } = node;
    if (/^(Binary|Logical)Expression$/.test(node.type) && isNode(left) && isNode(right)) {
      const other = OPERATORS[String(operator)];
      const isText = [left, right].some(({ type, value }) => type === 'TemplateLiteral' || typeof value === 'string');
      if (other !== undefined && !(isText && operator === '+')) {
        replace(node.start, node.end, `${text(left)} ${other} ${text(right)}`);
      }
    }
    if (/^(If|While|Conditional)/.test(node.type) && isNode(test)) {
      if (node.type !== 'WhileStatement') replace(test.start, test.end, 'true');
      replace(test.start, test.end, 'false');
    }
    if (node.type === 'UnaryExpression' && operator === '!' && isNode(argument))
      replace(node.start, node.end, text(argument));
    if (node.type === 'Literal' && typeof value === 'boolean') replace(node.start, node.end, String(!value));
    if (node.type === 'Literal' && typeof value === 'number') replace(node.start, node.end, String(value + 1));
    if (node.type === 'ThrowStatement') replace(node.start, node.end, ';');
    if (node.type === 'ExpressionStatement') replace(node.start, node.end, ';');
    for (const child of Object.values(node)) {
      for (const each of Array.isArray(child) ? child : [child]) if (isNode(each)) visit(each);
    }
  };
  const program: unknown = parseAst(source, { lang: 'ts' });
  if (!isNode(program)) throw new Error('no program');
  visit(program);
  return mutants;
}

/** Whether a mutant is a program at all: some operators cannot stand beside others without parentheses. */
export function parses({ source }: Mutant): boolean {
  try {
    parseAst(source, { lang: 'ts' });
    return true;
  } catch {
    return false;
  }
}
