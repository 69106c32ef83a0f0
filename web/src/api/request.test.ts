import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { renewal } from "../session/renewal";
import { who } from "../session/who";
import type { Me } from "./account";
import { request } from "./request";
import { ProblemError, send, UnreachableError } from "./send";

const ADA = { id: "0198-ada", name: "Ada" } as Me;

type Answer = [status: number, body: unknown, headers?: Record<string, string>];

/** Answers requests in order, and keeps what was asked. */
function serve(...answers: Answer[]): { path: string; headers: Record<string, string> }[] {
  const asked: { path: string; headers: Record<string, string> }[] = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    asked.push({ path, headers: init.headers as Record<string, string> });
    const [status, body, headers = {}] = answers.shift() as Answer;
    return new Response(body === null ? null : JSON.stringify(body), { status, headers });
  });
  return asked;
}

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  });
  const request = (_name: string, act: () => Promise<void>) => act();
  vi.stubGlobal("navigator", { locks: { request } });
  who.set({ state: "somebody", me: ADA });
});
afterEach(() => {
  renewal.stop();
  vi.unstubAllGlobals();
});

const REFUSED: Answer = [401, { code: "unauthenticated", detail: "sign in" }];

describe("WEB-12: a refused request is tried once more after the session was renewed", () => {
  test("and nobody notices", async () => {
    const asked = serve(REFUSED, [200, { expires_in: 600 }], [200, { items: [1] }]);
    expect(await request("/api/projects")).toEqual({ items: [1] });
    const paths = asked.map(({ path }) => path);
    expect(paths).toEqual(["/api/projects", "/api/auth/refresh", "/api/projects"]);
    expect(asked.every(({ headers }) => headers["x-layercake"] === "page")).toBe(true);
    expect(who.get().state).toBe("somebody");
  });

  test("WEB-11: if that is refused the session has ended, and who it was is remembered", async () => {
    serve(REFUSED, REFUSED);
    await expect(request("/api/projects")).rejects.toMatchObject({ status: 401 });
    expect(who.get()).toEqual({ state: "nobody", last: ADA });
  });

  test("WEB-11: so it has if the request is refused again", async () => {
    serve(REFUSED, [200, { expires_in: 600 }], REFUSED);
    await expect(request("/api/projects")).rejects.toMatchObject({ status: 401 });
    expect(who.get()).toEqual({ state: "nobody", last: ADA });
  });

  test.each([403, 404, 409, 503])("a %i ends nothing", async (status) => {
    const asked = serve([status, {}]);
    await expect(request("/api/projects")).rejects.toMatchObject({ status });
    expect(asked).toHaveLength(1);
    expect(who.get().state).toBe("somebody");
  });
});

test("WEB-14: a share link's token comes alone, and no session is renewed or ended for it", async () => {
  const asked = serve(REFUSED);
  await expect(request("/api/auth/me", { token: "lcs_x" })).rejects.toMatchObject({ status: 401 });
  expect(asked.map(({ headers }) => headers.authorization)).toEqual(["Bearer lcs_x"]);
  expect(who.get().state).toBe("somebody");
});

test("WEB-19: a refusal carries its code, its words and when to come again", async () => {
  const headers = { "retry-after": "30" };
  serve([429, { code: "too_many_requests", title: "Too Many", detail: "wait" }, headers]);
  const error = await send("/api/auth/login").catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ProblemError);
  expect(error).toMatchObject({ code: "too_many_requests", message: "wait", retryAfter_s: 30 });
});

test("WEB-19: no answer at all is told apart", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed")));
  await expect(send("/api/auth/me")).rejects.toBeInstanceOf(UnreachableError);
});

test("an answer without content is none", async () => {
  serve([204, null]);
  expect(await send("/api/auth/logout", { method: "POST" })).toBeUndefined();
});
