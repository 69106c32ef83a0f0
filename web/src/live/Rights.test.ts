import { describe, expect, test } from "vitest";
import type { Role } from "../api/catalogue";
import { ProblemError } from "../api/send";
import { Rights } from "./Rights";

/** A graph whose admins change what we are in it. */
class Graph {
  role: Role | null | Error = "member";
  asked = 0;
  raised = 0;
  lost: number[] = [];
  now_ms = 0;

  opened(): Rights {
    return new Rights(this.role as Role, {
      look: async () => {
        this.asked += 1;
        if (this.role instanceof Error) throw this.role;
        return this.role;
      },
      lost: (status) => this.lost.push(status),
      raised: () => {
        this.raised += 1;
      },
      now: () => this.now_ms,
    });
  }

  async change(rights: Rights, role: Role | null | Error): Promise<void> {
    this.role = role;
    this.now_ms += 5_000;
    await rights.look();
  }
}

describe("WEB-16: a change of rights is known in place", () => {
  test("a refused edit says so at once, and being let edit again resumes", async () => {
    const graph = new Graph();
    const rights = graph.opened();
    expect(rights.news.get()).toBeNull();
    rights.refused();
    expect([rights.role.get(), rights.news.get()]).toEqual(["viewer", "reduced"]);
    await graph.change(rights, "member");
    expect([rights.role.get(), rights.news.get()]).toEqual(["member", "raised"]);
    expect(graph.raised).toBe(1);
  });

  test("whoever is connected again asks at once, however lately it was tried", async () => {
    const graph = new Graph();
    const rights = graph.opened();
    graph.role = new TypeError("the server is away");
    await rights.look();
    graph.role = "viewer";
    await rights.look();
    expect(rights.role.get()).toBe("member");
    await rights.ask();
    expect([rights.role.get(), rights.news.get()]).toEqual(["viewer", "reduced"]);
  });

  test("what changes nothing for editing is no news, but counts", async () => {
    const graph = new Graph();
    const rights = graph.opened();
    await graph.change(rights, "admin");
    expect([rights.role.get(), rights.news.get()]).toEqual(["admin", null]);
  });

  test("who may not read any more has lost the graph, whichever way that is said", async () => {
    const graph = new Graph();
    const rights = graph.opened();
    await graph.change(rights, null);
    await graph.change(rights, new ProblemError(401, "unauthenticated", "", ""));
    expect(graph.lost).toEqual([404, 401]);
  });

  test("no answer changes nothing", async () => {
    const graph = new Graph();
    const rights = graph.opened();
    await graph.change(rights, new Error("away"));
    expect([rights.role.get(), graph.lost]).toEqual(["member", []]);
  });

  test("it is asked at most every 5 seconds", async () => {
    const graph = new Graph();
    const rights = graph.opened();
    await Promise.all([rights.look(), rights.look()]);
    graph.now_ms = 4_999;
    await rights.look();
    expect(graph.asked).toBe(1);
  });
});
