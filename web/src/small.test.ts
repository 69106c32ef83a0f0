import { describe, expect, test } from "vitest";
import { initials, ownIdentity } from "./identity";
import { peopleIn, selectionsOf } from "./live/presence";
import { graphHref, parseRoute } from "./routes";
import { ago } from "./time";

describe("routes", () => {
  test.each([
    ["", { page: "home" }],
    ["#/", { page: "home" }],
    ["#/graphs/0198-a", { page: "graph", graphId: "0198-a" }],
    ["#/graphs/a%2Fb", { page: "graph", graphId: "a/b" }],
    ["#/graphs/%", { page: "graph", graphId: "%" }],
    ["#/graphs/a/b", { page: "unknown" }],
    ["#/else", { page: "unknown" }],
  ])("%s", (hash, route) => expect(parseRoute(hash)).toEqual(route));

  test("an address leads back to its graph", () => {
    expect(parseRoute(graphHref("a/b ü"))).toEqual({ page: "graph", graphId: "a/b ü" });
  });
});

describe("identity", () => {
  function storage(kept?: string): Storage {
    const values = new Map(kept === undefined ? [] : [["layercake.identity", kept]]);
    return {
      getItem: (key: string) => values.get(key) ?? null,
      setItem: (key: string, value: string) => values.set(key, value),
    } as unknown as Storage;
  }

  test("WEB-2: a name is made up once and kept", () => {
    const kept = storage();
    const made = ownIdentity(kept, () => 0);
    expect(made.name).toBe("Bright Badger");
    expect(ownIdentity(kept, () => 0.99)).toEqual(made);
  });

  test.each(["not json", "null", '{"name":4,"color":"#b4235a"}', '{"name":"A","color":"red;"}'])(
    "a spoilt one (%s) is made up anew",
    (text) => expect(ownIdentity(storage(text), () => 0).name).toBe("Bright Badger"),
  );

  test.each([
    ["Ada Lovelace", "AL"],
    ["ada", "A"],
    ["Ada King Lovelace", "AL"],
    ["😀 x", "😀X"],
    [" ", "?"],
  ])("initials of %s are %s", (name, letters) => expect(initials(name)).toBe(letters));
});

test("WEB-2: others are shown by name, whatever they write into their state", () => {
  const states = new Map<number, unknown>([
    [1, { user: { name: "Me", color: "#000000" } }],
    [2, { user: { name: "Zoe", color: "url(x)" }, selection: "n1" }],
    [3, { user: { name: "Ada", color: "#0b7285" }, selection: 9 }],
    [4, { user: { name: "  " } }],
    [5, null],
    [6, { user: "Bob" }],
  ]);
  const people = peopleIn(states, 1);
  expect(people.map(({ name, color }) => [name, color])).toEqual([
    ["Ada", "#0b7285"],
    ["Zoe", "#5c6470"],
  ]);
  expect([...selectionsOf(people)]).toEqual([["n1", "#5c6470"]]);
});

test.each([
  ["2026-01-01T00:00:30Z", "just now"],
  ["2025-12-31T23:50:00Z", "11 minutes ago"],
  ["2025-12-31T00:00:00Z", "yesterday"],
  ["2026-01-01T00:09:00Z", "just now"],
])("%s is %s", (iso, words) => {
  expect(ago(iso, Date.parse("2026-01-01T00:01:00Z"))).toBe(words);
});
