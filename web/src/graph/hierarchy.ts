import type { SceneNode } from "./scene";

type Contained = Pick<SceneNode, "id" | "isPartition" | "parent">;

/** Which container each node lies in, and what each contains. Everything is ordered by id. */
export interface Hierarchy {
  parentOf: ReadonlyMap<string, string>;
  /** Children by container id; those of no container are under "". */
  childrenOf: ReadonlyMap<string, readonly string[]>;
}

export const TOP = "";

/** A parent that is absent, no partition, or part of a cycle counts as none. */
export function hierarchyOf(nodes: ReadonlyMap<string, Contained>): Hierarchy {
  const parentOf = new Map<string, string>();
  const childrenOf = new Map<string, string[]>();
  for (const id of [...nodes.keys()].sort()) {
    const parent = containerOf(nodes, id);
    if (parent !== null) parentOf.set(id, parent);
    const siblings = childrenOf.get(parent ?? TOP);
    if (siblings) siblings.push(id);
    else childrenOf.set(parent ?? TOP, [id]);
  }
  return { parentOf, childrenOf };
}

/** The containers around a node, from its own outwards. */
export function ancestors(hierarchy: Hierarchy, id: string): string[] {
  const chain: string[] = [];
  let parent = hierarchy.parentOf.get(id);
  while (parent !== undefined) {
    chain.push(parent);
    parent = hierarchy.parentOf.get(parent);
  }
  return chain;
}

/** What moves when a node does: itself, or the innermost nodes of a container. */
export function leavesOf(hierarchy: Hierarchy, id: string): string[] {
  const children = hierarchy.childrenOf.get(id);
  return children ? children.flatMap((child) => leavesOf(hierarchy, child)) : [id];
}

function containerOf(nodes: ReadonlyMap<string, Contained>, id: string): string | null {
  const parent = nodes.get(id)?.parent ?? null;
  if (parent === null || !nodes.get(parent)?.isPartition) return null;
  return inCycle(nodes, id) ? null : parent;
}

function inCycle(nodes: ReadonlyMap<string, Contained>, id: string): boolean {
  const seen = new Set<string>();
  let at = nodes.get(id)?.parent ?? null;
  while (at !== null && at !== id && !seen.has(at)) {
    seen.add(at);
    at = nodes.get(at)?.parent ?? null;
  }
  return at === id;
}
