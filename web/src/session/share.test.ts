import { expect, test } from "vitest";
import { forgetShare, keepShare, shareFor } from "./share";

test("WEB-14: a share link counts for its graph, until one is somebody again", () => {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
  expect(shareFor(storage, "a")).toBeNull();
  keepShare(storage, { graphId: "a", token: "lcs_a" });
  expect([shareFor(storage, "a"), shareFor(storage, "b")]).toEqual(["lcs_a", null]);
  keepShare(storage, { graphId: "b", token: "lcs_b" });
  expect([shareFor(storage, "a"), shareFor(storage, "b")]).toEqual([null, "lcs_b"]);
  forgetShare(storage);
  expect(shareFor(storage, "b")).toBeNull();
});
