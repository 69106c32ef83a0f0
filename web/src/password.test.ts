import { expect, test } from "vitest";
import { passwordFault } from "./password";

test.each([
  ["eleven char", "eleven char", "12 characters or more; this one has 11"],
  ["😀".repeat(11), "😀".repeat(11), "this one has 11"],
  ["x".repeat(1025), "x".repeat(1025), "more than 1024"],
  ["correct horse", "correct house", "not the same"],
])("WEB-13: of %s and %s is said %s", (password, again, words) => {
  expect(passwordFault(password, again)).toContain(words);
});

test("WEB-13: a password of 12 characters, typed twice, is good", () => {
  expect(passwordFault("twelve chars", "twelve chars")).toBeNull();
});
