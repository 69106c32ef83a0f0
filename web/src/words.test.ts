import { describe, expect, test } from "vitest";
import { ProblemError, UnreachableError } from "./api/send";
import { sentenceOf, signInSentence } from "./words";

function problem(status: number, code: string, retryAfter_s: number | null = null): ProblemError {
  return new ProblemError(status, code, "Title", "what the server says", retryAfter_s);
}

describe("WEB-19: refusals are said in words", () => {
  test.each([
    [problem(429, "too_many_requests", 30), "Too many attempts. Try again in 30 seconds."],
    [problem(429, "too_many_requests", 1), "Too many attempts. Try again in 1 second."],
    [problem(429, "too_many_requests"), "Too many attempts. Try again later."],
    [
      problem(409, "last_admin"),
      "There must be one admin at least. Make somebody else an admin first.",
    ],
    [problem(409, "username_taken"), "what the server says"],
    [new Error("The two passwords are not the same."), "The two passwords are not the same."],
  ])("%o", (error, words) => expect(sentenceOf(error)).toBe(words));

  test("a server that does not answer is said so", () => {
    expect(sentenceOf(new UnreachableError(null))).toContain("does not answer");
  });

  test("who cannot sign in is not told which of the two was wrong", () => {
    expect(signInSentence(problem(401, "unauthenticated"))).toContain("username or the password");
    expect(signInSentence(problem(429, "too_many_requests", 5))).toContain("in 5 seconds");
  });
});
