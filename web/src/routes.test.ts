import { describe, expect, test } from "vitest";
import { graphHref, parseRoute } from "./routes";

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
