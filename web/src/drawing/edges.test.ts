import { expect, test } from "vitest";
import { lanesOf, lineBetween } from "./edges";

const edge = (id: string, source: string, target: string) => ({
  id,
  source,
  target,
  label: "",
  layer: null,
});
const box = (x: number, y: number) => ({ x, y, width: 100, height: 40 });

test("WEB-9: parallel edges get lanes of their own, whichever way they run", () => {
  const lanes = lanesOf([
    edge("1", "a", "b"),
    edge("2", "b", "a"),
    edge("3", "a", "b"),
    edge("4", "a", "c"),
  ]);
  expect([...lanes.entries()].sort()).toEqual([
    ["1", -1],
    ["2", 0],
    ["3", 1],
    ["4", 0],
  ]);
  const paths = [-1, 0, 1].map((lane) => lineBetween(box(0, 0), box(0, 200), lane).path);
  expect(new Set(paths).size).toBe(3);
});

test("an edge runs between the facing sides", () => {
  expect(lineBetween(box(0, 0), box(0, 200), 0).path).toMatch(/^M50,40 .*50,192$/);
  expect(lineBetween(box(0, 0), box(300, 0), 0).path).toMatch(/^M100,20 .*292,20$/);
  expect(lineBetween(box(0, 200), box(0, 0), 0).head.startsWith("50,40 ")).toBe(true);
});
