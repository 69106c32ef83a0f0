import { expect, test } from "vitest";
import { ago } from "./time";

test.each([
  ["2026-01-01T00:00:30Z", "just now"],
  ["2025-12-31T23:50:00Z", "11 minutes ago"],
  ["2025-12-31T00:00:00Z", "yesterday"],
  ["2026-01-01T00:09:00Z", "just now"],
])("%s is %s", (iso, words) => {
  expect(ago(iso, Date.parse("2026-01-01T00:01:00Z"))).toBe(words);
});
