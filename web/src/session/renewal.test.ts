import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ProblemError, UnreachableError } from "../api/send";
import { Renewal, renewAfter_ms } from "./renewal";
import { who } from "./who";

const LIFETIME_S = 600;
const OVER = new ProblemError(401, "unauthenticated", "Unauthorized", "sign in");

/** One browser: what its tabs share. */
class Browser {
  exchanges = 0;
  refusal: Error | null = null;
  #last: Promise<void> = Promise.resolve();
  readonly #kept = new Map<string, string>();

  tab(): Renewal {
    return new Renewal({
      exchange: () => this.#exchange(),
      alone: (act) => {
        const turn = this.#last.then(act);
        this.#last = turn.catch(() => {});
        return turn;
      },
      storage: {
        getItem: (key) => this.#kept.get(key) ?? null,
        setItem: (key, value) => this.#kept.set(key, value),
      },
      now: Date.now,
    });
  }

  async #exchange() {
    this.exchanges += 1;
    if (this.refusal) throw this.refusal;
    return { expires_in: LIFETIME_S };
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("WEB-12: a session is renewed once for all who need it", () => {
  test("what asks at the same time in one tab shares one exchange", async () => {
    const browser = new Browser();
    const tab = browser.tab();
    await Promise.all([tab.renew(), tab.renew(), tab.renew()]);
    expect(browser.exchanges).toBe(1);
  });

  test("tabs take turns, and use what another one has just got", async () => {
    const browser = new Browser();
    await Promise.all([browser.tab().renew(), browser.tab().renew()]);
    expect(browser.exchanges).toBe(1);
    await vi.advanceTimersByTimeAsync(3_000);
    await browser.tab().renew();
    expect(browser.exchanges).toBe(2);
  });

  test("a refusal reaches all who asked, and the next one asks again", async () => {
    const browser = new Browser();
    const tab = browser.tab();
    browser.refusal = OVER;
    const both = await Promise.allSettled([tab.renew(), tab.renew()]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    browser.refusal = null;
    await tab.renew();
    expect(browser.exchanges).toBe(2);
  });
});

describe("WEB-12: a session is renewed before it runs out", () => {
  test.each([
    [600_000, 0, 420_000],
    [600_000, 1, 480_000],
    [100, 0.5, 1_000],
    [30 * 86_400_000, 0.5, 3_600_000],
  ])("what lasts %i ms, with chance %f, is renewed after %i ms", (lifetime, random, delay) => {
    expect(renewAfter_ms(lifetime, random)).toBeCloseTo(delay);
  });

  test("again and again, without anybody asking", async () => {
    const browser = new Browser();
    browser.tab().granted({ expires_in: LIFETIME_S });
    await vi.advanceTimersByTimeAsync(LIFETIME_S * 800);
    expect(browser.exchanges).toBe(1);
    await vi.advanceTimersByTimeAsync(LIFETIME_S * 800);
    expect(browser.exchanges).toBe(2);
  });

  test("a server that is away is asked again, and a refusal ends the session", async () => {
    const browser = new Browser();
    who.set({ state: "asking" });
    browser.refusal = new UnreachableError(null);
    browser.tab().granted({ expires_in: LIFETIME_S });
    await vi.advanceTimersByTimeAsync(LIFETIME_S * 800 + 10_000);
    expect(browser.exchanges).toBeGreaterThan(1);
    expect(who.get().state).toBe("asking");
    browser.refusal = OVER;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(who.get()).toEqual({ state: "nobody", last: null });
  });

  test("what another tab got puts it off", async () => {
    const browser = new Browser();
    const [own, other] = [browser.tab(), browser.tab()];
    own.granted({ expires_in: LIFETIME_S });
    await vi.advanceTimersByTimeAsync(400_000);
    other.granted({ expires_in: LIFETIME_S });
    other.stop();
    own.heard();
    await vi.advanceTimersByTimeAsync(400_000);
    expect(browser.exchanges).toBe(0);
  });
});
