import { expect, test } from "vitest";
import { arrange, type Box, type LayoutInput, type LayoutNode } from "./arrange";

const SIZE = { width: 120, height: 38 };

function node(id: string, parent: string | null = null, isPartition = false): LayoutNode {
  return { id, parent, isPartition, ...SIZE };
}

/** Three containers in one of 40 nodes each, wired across and within. */
function nested(): LayoutInput {
  const groups = ["a", "b", "c"];
  const nodes = [node("all", null, true), ...groups.map((id) => node(id, "all", true))];
  const edges = [];
  for (let index = 0; index < 40; index += 1) {
    for (const group of groups) nodes.push(node(`${group}${index}`, group));
    edges.push({ source: `a${index}`, target: `b${(index * 7) % 40}` });
    edges.push({ source: `b${index}`, target: `c${(index * 3) % 40}` });
    edges.push({ source: `c${index}`, target: `c${(index + 5) % 40}` });
  }
  return { nodes, edges };
}

function overlap(a: Box, b: Box): boolean {
  const apartX = a.x + a.width <= b.x || b.x + b.width <= a.x;
  return !apartX && a.y < b.y + b.height && b.y < a.y + a.height;
}

test("WEB-8: siblings never overlap and children lie inside their container", () => {
  const { nodes, edges } = nested();
  const boxes = arrange({ nodes, edges });
  expect(boxes.size).toBe(nodes.length);
  const at = (id: string) => boxes.get(id) as Box;
  for (const one of nodes) {
    for (const two of nodes) {
      if (one.id < two.id && one.parent === two.parent) {
        expect(overlap(at(one.id), at(two.id)), `${one.id} and ${two.id}`).toBe(false);
      }
    }
    if (one.parent === null) continue;
    const outer = at(one.parent);
    const inner = at(one.id);
    expect(inner.x).toBeGreaterThan(outer.x);
    expect(inner.y).toBeGreaterThan(outer.y);
    expect(inner.x + inner.width).toBeLessThan(outer.x + outer.width);
    expect(inner.y + inner.height).toBeLessThan(outer.y + outer.height);
  }
});

test("WEB-8: the same graph is arranged alike, in whatever order it arrives", () => {
  const { nodes, edges } = nested();
  const other = { nodes: [...nodes].reverse(), edges: [...edges].reverse() };
  expect([...arrange(other)].sort()).toEqual([...arrange({ nodes, edges })].sort());
});

test("cycles of containers, missing parents and self loops are arranged all the same", () => {
  const nodes = [node("x", "y", true), node("y", "x", true), node("z", "nowhere"), node("w", "z")];
  const edges = [
    { source: "x", target: "x" },
    { source: "x", target: "y" },
  ];
  expect([...arrange({ nodes, edges }).keys()].sort()).toEqual(["w", "x", "y", "z"]);
});

test("nothing is arranged as nothing", () => {
  expect(arrange({ nodes: [], edges: [] }).size).toBe(0);
});
