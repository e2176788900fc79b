// C2SP tlog-policy: which logs and witnesses are trusted, and how many of these are enough.

import { excerpt, toHex } from './bytes.ts';
import { ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE, parseWitnessKey, type WitnessKey } from './cosignature.ts';
import { FormatError } from './errors.ts';
import { type LogVerifier, parseLogVerifier } from './log-verifier.ts';
import { ED25519_NOTE, parseTypedKey, type Verifier } from './note.ts';

const MAX_POLICY = 262_144;
/** Of logs, of witnesses and of groups, each. */
const MOST = 32;

/** The key of a log. Signatures of other types than 0x01 (Ed25519) and 0x06 (ML-DSA-44) cannot be checked here. */
export type PolicyLogKey = LogVerifier;

export interface Witness {
  /** What the policy calls it; its signatures carry the name of its key. */
  readonly name: string;
  readonly key: WitnessKey;
  readonly url: string | null;
}

/** Reached if at least `threshold` of its members are: a witness by cosigning, a group by its own threshold. */
export interface Quorum {
  readonly threshold: number;
  readonly members: readonly (Witness | Quorum)[];
}

export interface Policy {
  /** May be empty: the logs may be known from elsewhere. */
  readonly logs: readonly { readonly key: PolicyLogKey; readonly url: string | null }[];
  readonly witnesses: readonly Witness[];
  readonly quorum: Quorum;
}

/** Whether the witnesses that cosigned are enough. */
export function isReached(quorum: Quorum, has: (witness: Witness) => boolean): boolean {
  const reached = quorum.members.filter((member) => ('key' in member ? has(member) : isReached(member, has)));
  return reached.length >= quorum.threshold;
}

/** @throws FormatError `policy-invalid`, with every fault in it */
export function parsePolicy(bytes: Uint8Array): Policy {
  const { policy, faults } = readPolicy(bytes);
  if (policy !== null) return policy;
  throw new FormatError('policy-invalid', `not a policy: ${faults.join('; ')}`);
}

/** A policy, or everything that is wrong with it, by line. */
export function readPolicy(
  bytes: Uint8Array,
): { policy: Policy; faults: readonly [] } | { policy: null; faults: readonly string[] } {
  if (bytes.length > MAX_POLICY) return { policy: null, faults: [`it has more than ${MAX_POLICY} bytes`] };
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { policy: null, faults: ['it is not UTF-8'] };
  }
  const reader = new PolicyReader();
  for (const [i, line] of text.split('\n').entries()) reader.line(i + 1, line);
  return reader.end();
}

class PolicyReader {
  readonly #faults: string[] = [];
  readonly #logs: Policy['logs'][number][] = [];
  readonly #witnesses: Witness[] = [];
  readonly #named = new Map<string, Witness | Quorum>();
  readonly #members = new Set<string>();
  #quorum: Quorum | null = null;
  #quorumLine = 0;

  line(number: number, line: string): void {
    const fault = this.#read(number, line);
    if (fault !== null) this.#faults.push(`line ${number}: ${fault}`);
  }

  end(): ReturnType<typeof readPolicy> {
    if (this.#quorumLine === 0) this.#faults.push('there is no quorum line; write `quorum none` to need no witness');
    const [quorum, logs, witnesses] = [this.#quorum, this.#logs, this.#witnesses];
    if (quorum === null || this.#faults.length > 0) return { policy: null, faults: this.#faults };
    return { policy: { logs, witnesses, quorum }, faults: [] };
  }

  #read(number: number, line: string): string | null {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) return 'a control character';
    const [keyword, ...rest] = line.split(/[ \t]+/).filter((word) => word !== '');
    if (keyword === undefined || keyword.startsWith('#')) return null;
    switch (keyword) {
      case 'log':
        return this.#log(rest);
      case 'witness':
        return this.#witness(rest);
      case 'group':
        return this.#group(rest);
      case 'quorum':
        return this.#setQuorum(number, rest);
    }
    return `begins with ${excerpt(keyword)}, not with log, witness, group or quorum`;
  }

  #log([vkey, url, more]: readonly string[]): string | null {
    if (vkey === undefined || more !== undefined) return 'not of the form: log <vkey> [<url>]';
    const key = keyOf(parseLogKey, vkey);
    if (typeof key === 'string') return key;
    if (this.#logs.some((other) => samePublicKey(other.key, key))) return 'the key of this log was listed before';
    if (this.#logs.length === MOST) return `more than ${MOST} logs`;
    this.#logs.push({ key, url: url ?? null });
    return null;
  }

  #witness([name, vkey, url, more]: readonly string[]): string | null {
    if (name === undefined || vkey === undefined || more !== undefined) {
      return 'not of the form: witness <name> <vkey> [<url>]';
    }
    const key = keyOf(parseWitnessKey, vkey);
    if (typeof key === 'string') return key;
    if (this.#witnesses.some((other) => samePublicKey(other.key, key)))
      return 'the key of this witness was listed before';
    if (this.#witnesses.length === MOST) return `more than ${MOST} witnesses`;
    const witness = { name, key, url: url ?? null };
    const fault = this.#name(name, witness);
    if (fault === null) this.#witnesses.push(witness);
    return fault;
  }

  #group([name, least, ...names]: readonly string[]): string | null {
    if (name === undefined || least === undefined || names.length === 0) {
      return 'not of the form: group <name> all|any|<number> <member>…';
    }
    const members: (Witness | Quorum)[] = [];
    for (const member of names) {
      const found = this.#named.get(member);
      if (found === undefined) return unknown(member);
      if (this.#members.has(member)) return `${excerpt(member)} is a member of a group already`;
      this.#members.add(member);
      members.push(found);
    }
    const threshold = least === 'all' ? members.length : least === 'any' ? 1 : Number(least);
    if (!/^(all|any|[1-9]\d{0,3})$/.test(least) || threshold > members.length) {
      return `needs ${excerpt(least)} of ${members.length}: write all, any, or a number from 1 to ${members.length}`;
    }
    if (this.#named.size - this.#witnesses.length === MOST) return `more than ${MOST} groups`;
    return this.#name(name, { threshold, members });
  }

  #setQuorum(number: number, [name, more]: readonly string[]): string | null {
    if (name === undefined || more !== undefined) return 'not of the form: quorum <name>';
    if (this.#quorumLine > 0) return `a second quorum, after that of line ${this.#quorumLine}`;
    this.#quorumLine = number;
    const found = this.#named.get(name);
    if (name === 'none') this.#quorum = { threshold: 0, members: [] };
    else if (found === undefined) return unknown(name);
    else this.#quorum = { threshold: 1, members: [found] };
    return null;
  }

  #name(name: string, value: Witness | Quorum): string | null {
    if (name === 'none') return 'the name none means no witness at all: choose another';
    if (this.#named.has(name)) return `the name ${excerpt(name)} was given before`;
    this.#named.set(name, value);
    return null;
  }
}

/** An Ed25519 key of a witness is none of a log. */
const CHECKED: readonly number[] = [ED25519_NOTE, ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE];

function keyOf<K extends Verifier>(parse: (text: string) => K, text: string): K | string {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

/** Types of log signatures that are not known here are kept: whoever uses the policy may have another key of the log. */
function parseLogKey(text: string): PolicyLogKey {
  const key = parseTypedKey(text);
  return CHECKED.includes(key.type) ? parseLogVerifier(text) : key;
}

const samePublicKey = (a: Verifier, b: Verifier): boolean => toHex(a.publicKey) === toHex(b.publicKey);
const unknown = (name: string): string => `${excerpt(name)} was not defined on a line before`;
