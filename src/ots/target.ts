import type { FinalBlock } from '../anchor/target.ts';
import { parseHeader } from '../core/bitcoin-header.ts';
// A target of the kind opentimestamps: calendars, and the Bitcoin chain that they lead to.

import type { Logger } from 'pino';
import type { AnchorTarget } from '../anchor/target.ts';
import type { HeaderSource } from '../core/bitcoin-source.ts';
import { fromHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { within } from '../core/time-limit.ts';
import type { Database } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import { type CalendarClient, calendarClient } from './calendar-client.ts';
import { CalendarPoller } from './calendar-poller.ts';
import { confirm, NO_SOURCE } from './confirm.ts';
import { type Pace, QUICK, UNHURRIED } from './pace.ts';
import { openSubmissions, recallRequests, reviewCalendars } from './requests.ts';
import { dueRounds, nextLooks, registerOts } from './state.ts';
import { settle } from './status.ts';

export interface OtsTargetOptions {
  readonly name: string;
  /** CAIP-2 of the Bitcoin chain that counts. */
  readonly chain: string;
  /** No other calendar is ever contacted. URLs without a slash at the end. */
  readonly calendars: readonly {
    readonly url: string;
    /** Other names under which its answers may refer to it. */
    readonly uris: readonly string[];
  }[];
  /** Calendars that must have answered for a round to count as submitted. */
  readonly minCalendars: number;
  /** Headers of that chain; null: there is no source, and nothing is confirmed. */
  readonly source: HeaderSource | null;
  /** Blocks, the one with the anchor included, after which an anchor is confirmed. Default 6. */
  readonly confirmations?: number;
  /** Blocks after which a confirmed anchor is not looked at again. Default 100. */
  readonly burial?: number;
  /** Whether calendars and chain are those of a development machine. */
  readonly ephemeral: boolean;
  /** Default: 1 where ephemeral, else the round after the newest when the target is first seen. */
  readonly firstRound?: number;
  /** Default: Bitcoin's, or a quick one where ephemeral. */
  readonly pace?: Pace;
  /** Default: over HTTP. */
  readonly client?: CalendarClient;
  readonly database: Database;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly logger: Logger;
}

const BEACON_LIMIT_MS = 2_000;

/** Milliseconds that the time in an answer counts. */
const SHOWN_MS = 600_000;

export class OtsTarget implements AnchorTarget {
  readonly name: string;
  /** CAIP-2. */
  readonly chain: string;
  readonly #options: OtsTargetOptions;
  readonly #pace: Pace;
  readonly #client: CalendarClient;
  readonly #poller: CalendarPoller;
  readonly #contacts: readonly string[];
  readonly #rules: { minCalendars: number; pace: Pace; confirmations: number; burial: number };
  /** The time that a calendar showed last, and when that was by the monotonic clock. */
  #shown: { readonly time: number; readonly at: number } | null = null;
  /** The last problem with the source of headers, so that it is logged once. */
  #complaint: string | null = null;

  /** @throws AntequemError `bitcoin-chain` where the source is one of another chain */
  constructor(options: OtsTargetOptions) {
    const { name, chain, calendars, minCalendars, source, ephemeral, database, now, logger } = options;
    if (source !== null && source.chain !== chain) {
      throw new AntequemError('bitcoin-chain', `${source.describe()} is for ${source.chain}, not for ${chain}`);
    }
    this.name = name;
    this.chain = chain;
    this.#options = options;
    this.#pace = options.pace ?? (ephemeral ? QUICK : UNHURRIED);
    this.#client =
      options.client ??
      calendarClient({
        timeout: this.#pace.timeout,
        onTime: (time) => {
          this.#shown = { time, at: performance.now() };
        },
      });
    this.#contacts = [...new Set(calendars.flatMap(({ url, uris }) => [url, ...uris]))];
    const { confirmations = 6, burial = 100 } = options;
    this.#rules = { minCalendars, pace: this.#pace, confirmations, burial: Math.max(burial, confirmations) };
    this.#poller = new CalendarPoller({
      target: name,
      client: this.#client,
      addresses: addressesOf(options),
      database,
      storing: { target: name, calendars: this.#contacts, rules: this.#rules },
      pace: this.#pace,
      now,
      logger,
    });
  }

  /** Adds the target to the database, with the calendars that it may ask. @throws AntequemError `target-differs` */
  async register(): Promise<void> {
    const { database, ephemeral, firstRound, now } = this.#options;
    const { name, chain } = this;
    await registerOts(
      database,
      { name, chain, ephemeral },
      { firstRound: firstRound ?? (ephemeral ? 1 : null), now: now() },
    );
    await reviewCalendars(database, name, this.#contacts, now());
  }

  /**
   * Takes these rounds as far as they go now. Tells for each after how many milliseconds to look again, null: only its
   * block is watched, by `inspect`. Throws only what the database throws.
   */
  async advance(rounds: readonly number[]): Promise<Map<number, number | null>> {
    const { database, calendars, source, now } = this.#options;
    const urls = calendars.map(({ url }) => url);
    await openSubmissions(database, this.name, rounds, urls, now());
    await this.#poller.askAll(rounds);
    await this.#confirm(rounds);
    const trouble = source === null ? NO_SOURCE : undefined;
    await transaction(database, (tx) => settle(tx, this.name, rounds, this.#rules, now(), trouble));
    return nextLooks(database, this.#due(), rounds);
  }

  /** Rounds that are due for a look, the oldest first. */
  unfinished(most: number): Promise<number[]> {
    return dueRounds(this.#options.database, this.#due(), most);
  }

  /** Checks that confirmed blocks are still there. */
  async inspect(): Promise<void> {
    await recallRequests(this.#options.database, this.name, this.#options.now());
    if (this.#options.source !== null) await this.#confirm(null);
  }

  /** The newest block that is deep enough; null where that is not to be had within two seconds. Never throws. */
  async newestFinalBlock(): Promise<FinalBlock | null> {
    const { source } = this.#options;
    // A round is not held up by who failed a moment ago; looks for confirmations ask whether he still does.
    if (source === null || this.#complaint !== null) return null;
    const block = this.#readFinalBlock(source).catch(() => null);
    return within(BEACON_LIMIT_MS, block, () => null);
  }

  /** Answers of calendars do not say for whom they were made, so there is nothing to compare. */
  async compare(): Promise<void> {}

  /** What the calendars' clocks show now, by the newest answer of the last ten minutes; null: there was none. */
  get calendarTime(): number | null {
    if (this.#shown === null) return null;
    const since = performance.now() - this.#shown.at;
    return since > SHOWN_MS ? null : this.#shown.time + since;
  }

  close(): void {
    this.#client.close();
  }

  async #readFinalBlock(source: HeaderSource): Promise<FinalBlock | null> {
    const height = (await source.height()) + 1 - this.#rules.confirmations;
    const block = height < 0 ? null : await source.header(height);
    return block === null
      ? null
      : { chain: this.chain, height, hash: fromHex(block.hash), time: parseHeader(block.header).time };
  }

  async #confirm(rounds: readonly number[] | null): Promise<void> {
    const { database, source, now, logger } = this.#options;
    const failure = await confirm(database, source, { target: this.name, rounds, rules: this.#rules, now });
    if (source === null || failure === undefined) return;
    if (failure !== null && failure !== this.#complaint) logger.warn({ target: this.name }, failure);
    this.#complaint = failure;
  }

  #due() {
    const { source, now } = this.#options;
    return { target: this.name, contacts: this.#contacts, headers: source !== null, now: now() };
  }
}

/** For each URI the calendars that answer for it: the one of that name in front. */
function addressesOf({ calendars }: Pick<OtsTargetOptions, 'calendars'>): Map<string, string[]> {
  const addresses = new Map<string, string[]>();
  for (const { url, uris } of calendars) {
    for (const uri of [url, ...uris]) addresses.set(uri, [...new Set([...(addresses.get(uri) ?? [uri]), url])]);
  }
  return addresses;
}
