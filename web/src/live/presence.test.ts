import { expect, test } from "vitest";
import { peopleIn, selectionsOf } from "./presence";

test("WEB-2: others are shown by name, whatever they write into their state", () => {
  const states = new Map<number, unknown>([
    [1, { user: { name: "Me", color: "#000000" } }],
    [2, { user: { name: "Zoe", color: "url(x)" }, selection: "n1" }],
    [3, { user: { name: "Ada", color: "#0b7285" }, selection: 9 }],
    [4, { user: { name: "  " } }],
    [5, null],
    [6, { user: "Bob" }],
  ]);
  const people = peopleIn(states, 1, false);
  expect(people.map(({ name, color }) => [name, color])).toEqual([
    ["Ada", "#0b7285"],
    ["Zoe", "#5c6470"],
  ]);
  expect([...selectionsOf(people)]).toEqual([["n1", "#5c6470"]]);
});

test("WEB-15: with accounts the name is the verified one, and who has none is not shown", () => {
  const principal = { id: "0198", name: "Ada Lovelace", kind: "person" };
  const states = new Map<number, unknown>([
    [1, { user: { name: "Me" }, principal }],
    [2, { user: { name: "Grace Hopper", color: "#0b7285" }, principal }],
    [3, { user: { name: "Grace Hopper" } }],
    [4, { principal }],
  ]);
  expect(peopleIn(states, 1, true).map(({ name, color }) => [name, color])).toEqual([
    ["Ada Lovelace", "#0b7285"],
    ["Ada Lovelace", "#5c6470"],
  ]);
});
