/**
 * Keeps the session of this browser going: the cookie of minutes is renewed before it runs out, so that open
 * sockets stay open. A refresh token works once, and one that is used twice ends the session, so all tabs of
 * the browser take turns and use what another one has just got.
 */
import type { Granted } from "../api/account";
import { ProblemError, send } from "../api/send";
import { sessionEnded } from "./who";

const KEY = "layercake.renewed";
/** What any tab got so lately is still good, and what was refused before it is worth asking again. */
const RECENT_MS = 2_000;
const AGAIN_MS = 10_000;
const SHORTEST_MS = 1_000;
const LONGEST_MS = 3_600_000;

/** When a tab got something last, and until when it lasts. */
interface Kept {
  at: number;
  until: number;
}

const NEVER: Kept = { at: 0, until: 0 };

export interface Surroundings {
  exchange: () => Promise<Granted>;
  /** Runs one act at a time over all tabs. */
  alone: (act: () => Promise<void>) => Promise<void>;
  storage: Pick<Storage, "getItem" | "setItem">;
  now: () => number;
}

/** When to renew what lasts `lifetime_ms`: after 70 to 80 percent of it, each tab at another moment. */
export function renewAfter_ms(lifetime_ms: number, random: number): number {
  return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, lifetime_ms * (0.7 + random / 10)));
}

export class Renewal {
  readonly #around: Surroundings;
  #running: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Whoever calls meanwhile shares it. Raises ProblemError (401: the session is over) or UnreachableError. */
  readonly renew = (): Promise<void> => {
    this.#running ??= this.#around
      .alone(() => this.#once())
      .finally(() => {
        this.#running = null;
      });
    return this.#running;
  };

  /** Something was granted just now that lasts so long; tell the other tabs, and renew it in time. */
  granted({ expires_in }: Granted): void {
    if (expires_in === undefined) return;
    const lifetime_ms = expires_in * 1000;
    const now = this.#around.now();
    this.#around.storage.setItem(KEY, JSON.stringify({ at: now, until: now + lifetime_ms }));
    this.lasts(lifetime_ms);
  }

  /** Another tab wrote what it got. */
  heard(): void {
    this.lasts(this.#kept().until - this.#around.now());
  }

  lasts(lifetime_ms: number): void {
    this.#wait(renewAfter_ms(lifetime_ms, Math.random()));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  async #once(): Promise<void> {
    if (this.#around.now() - this.#kept().at < RECENT_MS) return;
    this.granted(await this.#around.exchange());
  }

  #wait(delay_ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.renew().catch((error) => this.#refused(error)), delay_ms);
  }

  #refused(error: unknown): void {
    if (error instanceof ProblemError && error.status === 401) sessionEnded();
    else this.#wait(AGAIN_MS);
  }

  #kept(): Kept {
    try {
      return JSON.parse(this.#around.storage.getItem(KEY) ?? "") as Kept;
    } catch {
      return NEVER; // nothing yet, or nothing of ours
    }
  }
}

/** Browsers lend locks to secure pages only; elsewhere tabs that wake together get out of each other's way by chance. */
async function inTurn(act: () => Promise<void>): Promise<void> {
  if (navigator.locks) return navigator.locks.request(KEY, act);
  await new Promise((resolve) => setTimeout(resolve, (Math.random() * RECENT_MS) / 2));
  return act();
}

/** The one of this tab. */
export const renewal = new Renewal({
  exchange: () => send("/api/auth/refresh", { method: "POST", body: {} }),
  alone: inTurn,
  storage: {
    getItem: (key) => localStorage.getItem(key),
    setItem: (key, value) => localStorage.setItem(key, value),
  },
  now: Date.now,
});

export const { renew } = renewal;

/** Hear what other tabs of this browser get. Returns what ends it. */
export function followOtherTabs(changed: () => void): () => void {
  const heard = (event: StorageEvent) => {
    if (event.key !== KEY) return;
    renewal.heard();
    changed();
  };
  window.addEventListener("storage", heard);
  return () => window.removeEventListener("storage", heard);
}
