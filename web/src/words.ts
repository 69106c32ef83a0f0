import { ProblemError } from "./api/send";
import type { GraphRole } from "./api/sharing";

interface RoleWords {
  name: string;
  /** In the middle of a sentence. */
  one: string;
  /** What it lets one do. */
  means: string;
}

export const ROLE_WORDS: Record<GraphRole, RoleWords> = {
  admin: { name: "Admin", one: "an admin", means: "edits and manages" },
  member: { name: "Member", one: "a member", means: "edits" },
  viewer: { name: "Viewer", one: "a viewer", means: "looks on" },
  none: { name: "No access", one: "nobody", means: "does not see it" },
};

/** What some refusals mean to who reads them; the others say it well themselves. */
const BY_CODE: Record<string, string> = {
  last_admin: "There must be one admin at least. Make somebody else an admin first.",
};

/** Say what went wrong in a sentence for people. */
export function sentenceOf(error: Error): string {
  if (!(error instanceof ProblemError)) return error.message;
  if (error.status === 429) return `Too many attempts. Try again ${inWords(error.retryAfter_s)}.`;
  return BY_CODE[error.code] ?? error.message;
}

/** As `sentenceOf`, of an attempt to sign in: the server does not tell which of the two is wrong. */
export function signInSentence(error: Error): string {
  const wrong = error instanceof ProblemError && error.status === 401;
  return wrong
    ? "The username or the password is wrong, or the account was disabled."
    : sentenceOf(error);
}

function inWords(wait_s: number | null): string {
  if (wait_s === null) return "later";
  return wait_s === 1 ? "in 1 second" : `in ${wait_s} seconds`;
}
