import { describe, expect, test } from "vitest";
import { graphHref, groupHref, linkTo, parseRoute } from "./routes";

describe("routes", () => {
  test.each([
    ["", { page: "home" }],
    ["#/", { page: "home" }],
    ["#/account", { page: "account" }],
    ["#/users", { page: "users" }],
    ["#/graphs/0198-a", { page: "graph", graphId: "0198-a" }],
    ["#/graphs/a%2Fb", { page: "graph", graphId: "a/b" }],
    ["#/graphs/%", { page: "graph", graphId: "%" }],
    ["#/groups/0198-b", { page: "group", groupId: "0198-b" }],
    ["#/invitation/lci_a-_", { page: "invitation", token: "lci_a-_" }],
    ["#/share/lcs_a-_", { page: "share", token: "lcs_a-_" }],
    ["#/graphs", { page: "unknown" }],
    ["#/account/a", { page: "unknown" }],
    ["#/graphs/a/b", { page: "unknown" }],
    ["#/else", { page: "unknown" }],
    ["#/constructor", { page: "unknown" }],
  ])("%s", (hash, route) => expect(parseRoute(hash)).toEqual(route));

  test("an address leads back to its graph or group", () => {
    expect(parseRoute(graphHref("a/b ü"))).toEqual({ page: "graph", graphId: "a/b ü" });
    expect(parseRoute(groupHref("a/b ü"))).toEqual({ page: "group", groupId: "a/b ü" });
  });

  test("WEB-13, WEB-14: links to give away carry their token behind the #", () => {
    const link = linkTo("https://cake.example", "invitation", "lci_x");
    expect(link).toBe("https://cake.example/#/invitation/lci_x");
    expect(linkTo("https://cake.example", "share", "lcs_x")).toMatch(/\/#\/share\/lcs_x$/);
  });
});
