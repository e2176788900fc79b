import type { Claim } from '../../core/verdict.ts';

type ClaimName = Claim['claim'];

interface Fault {
  /** The claim of a verdict that the fault refutes. */
  readonly claim: ClaimName;
  /** For people: what must have happened. */
  readonly means: string;
}

/** What an audit can find wrong; docs/audit.md explains each. Never reused. */
export const FAULTS = {
  'payload-differs': { claim: 'content', means: 'the payload was changed after it was logged' },
  'block-damaged': { claim: 'content', means: 'the stored content of these entries was altered or cut' },
  'erased-unrecorded': {
    claim: 'content',
    means: 'it was removed without the service, which records each erasure in _system',
  },
  'erased-in-part': { claim: 'content', means: 'the block of the entry was altered without the service' },
  'erased-still-there': {
    claim: 'content',
    means: 'what was erased was put back, for example from a backup: erase it again',
  },
  'retention-differs': {
    claim: 'content',
    means:
      'how long entries are kept was changed without the service: more or less than was decided was or may be erased',
  },
  'hold-differs': {
    claim: 'content',
    means: 'a legal hold was altered, put in, released or passed over without the service',
  },
  'digest-unindexed': {
    claim: 'content',
    means: 'the index of digests was altered, and a search for the digest would not find it',
  },
  'entry-altered': {
    claim: 'position',
    means: 'the entry was changed, moved, put in or taken out after it was logged',
  },
  'entry-missing': { claim: 'position', means: 'the entry was deleted' },
  'entry-stray': { claim: 'position', means: 'it was put in without the service, or the head of the log was set back' },
  'tile-differs': {
    claim: 'position',
    means: 'the tile was altered, or the entries below it were rewritten: an old receipt can tell which',
  },
  'tile-missing': { claim: 'position', means: 'the tile was deleted' },
  'round-disagrees': {
    claim: 'position',
    means: 'entries were rewritten after the round had closed, or the round was altered',
  },
  'head-differs': { claim: 'position', means: 'the row of the log was altered' },
  'log-cut-off': { claim: 'position', means: 'the newest entries were cut off, or the database was set back' },
  'log-rewritten': { claim: 'position', means: 'entries that an earlier audit had verified were rewritten' },
  'log-gone': { claim: 'position', means: 'a whole log was deleted' },
  'log-differs': { claim: 'position', means: 'the row of the log was altered, or put in without the service' },
  'time-decreases': { claim: 'received-at', means: 'times were altered, or entries moved' },
  'received-after-close': {
    claim: 'received-at',
    means: 'the time was altered together with all that depends on it, or the time of the round was',
  },
  backdated: {
    claim: 'received-at',
    means: 'it was put in later than it says, or the clock of the service was wrong',
  },
  'view-split': {
    claim: 'position',
    means: 'the log was shown to two auditors with two histories, each signed: keep both mirrors as evidence',
  },
  'rounds-split': {
    claim: 'round',
    means: 'two chains of rounds were shown to two auditors: keep both mirrors as evidence',
  },
  'rounds-rewritten': { claim: 'round', means: 'rounds that an earlier audit had verified were rewritten' },
  'checkpoint-differs': {
    claim: 'checkpoint',
    means: 'the log signed another tree than it has: the checkpoint was altered, or the log rewritten',
  },
  'checkpoint-missing': { claim: 'checkpoint', means: 'the checkpoint was deleted, or the leaf put in' },
  'checkpoint-unreadable': { claim: 'checkpoint', means: 'the checkpoint was altered' },
  'signature-broken': { claim: 'checkpoint', means: 'the checkpoint was altered or forged without the key of the log' },
  'key-differs': {
    claim: 'checkpoint',
    means: 'a key of the log was altered or put in without the service: trust no checkpoint signed with it',
  },
  'round-missing': { claim: 'round', means: 'rounds were deleted or renumbered' },
  'round-broken': { claim: 'round', means: 'the round or one of its leaves was altered' },
  'link-broken': { claim: 'round', means: 'the round was altered, or the rounds before it rewritten' },
  'leaf-differs': {
    claim: 'round',
    means: 'the leaves were altered: receipts would be made of the wrong round',
  },
  'round-differs': {
    claim: 'round',
    means: 'the round was rewritten, or the entry of _system that tells its root',
  },
  'round-unrecorded': { claim: 'round', means: 'the round was put in without the service, or _system was rewritten' },
  'round-cut-off': { claim: 'round', means: 'the newest rounds were cut off, or the database was set back' },
  'act-unreadable': { claim: 'content', means: 'an entry of _system was altered or put in without the service' },
  'api-key-differs': { claim: 'content', means: 'an API key was altered without the service' },
  'api-key-unrecorded': {
    claim: 'content',
    means: 'an API key was put in without the service: revoke it and look for what was done with it',
  },
  'api-key-gone': { claim: 'content', means: 'an API key was deleted without the service' },
  'source-differs': {
    claim: 'content',
    means: 'a source was altered, put in or deleted without the service: look for what came through it',
  },
  'sender-differs': {
    claim: 'content',
    means: 'the account that pays for anchors was altered, put in or deleted without the service',
  },
  'anchor-missing': {
    claim: 'anchor',
    means: 'the round was rewritten after it was anchored, or the anchor never took place',
  },
  'anchor-differs': { claim: 'anchor', means: 'what the service says about the anchor was altered' },
  'anchor-before-close': { claim: 'anchor', means: "the service's clock was ahead when the round was closed" },
  'timestamp-broken': {
    claim: 'anchor',
    means: 'the answers of calendars for the round were altered or deleted, or the round was rewritten afterwards',
  },
  'root-unknown': {
    claim: 'anchor',
    means: 'rounds were rewritten after they were anchored, cut off, or the database was set back',
  },
} as const satisfies Record<string, Fault>;

export type FaultCode = keyof typeof FAULTS;

/** Faults that only an audit of what a service shows can find: acts beside their commitments, or two views. */
export const REMOTE_FAULTS: readonly FaultCode[] = [
  'payload-differs',
  'view-split',
  'rounds-split',
  'rounds-rewritten',
];

/** What an audit says besides, with the status of the claim; docs/audit.md explains each. */
export const STANDINGS = {
  'contents-hold': 'verified',
  'entries-hold': 'verified',
  'times-hold': 'unverified',
  'checkpoints-hold': 'verified',
  'keys-not-given': 'unverified',
  'rounds-hold': 'verified',
  'acts-hold': 'verified',
  'views-agree': 'verified',
  'contents-not-read': 'unverified',
  'rounds-not-read': 'unverified',
  'links-hold': 'verified',
  'anchors-missing': 'unverified',
  resumed: 'unverified',
  'audit-incomplete': 'unverified',
  'anchors-final': 'verified',
  'anchors-behind': 'unverified',
  recovered: 'unverified',
  'no-anchor': 'unverified',
  'no-source': 'unverified',
  'source-failed': 'unverified',
  'other-chain-instance': 'unverified',
} as const satisfies Record<string, Claim['status']>;

export type StandingCode = keyof typeof STANDINGS;
