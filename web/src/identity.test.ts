import { describe, expect, test } from "vitest";
import { initials, ownIdentity } from "./identity";

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
