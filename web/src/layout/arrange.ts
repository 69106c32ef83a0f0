/**
 * Give every node a place: deterministic, and compact enough to be read.
 *
 * Containers are arranged from the inside out. In each, the children that are connected (an edge
 * counts for the two children its ends lie in) are layered by dagre, the others fill a grid below.
 */
import dagre from "@dagrejs/dagre";
import { ancestors, type Hierarchy, hierarchyOf, TOP } from "../graph/hierarchy";

export interface Size {
  width: number;
  height: number;
}

export interface Box extends Size {
  x: number;
  y: number;
}

export interface LayoutNode extends Size {
  id: string;
  isPartition: boolean;
  parent: string | null;
}

export interface LayoutEdge {
  source: string;
  target: string;
}

export interface LayoutInput {
  nodes: LayoutNode[];
  edges: LayoutEdge[];
}

interface Arranged {
  size: Size;
  /** Top left corners of the children within it. */
  places: Map<string, { x: number; y: number }>;
}

interface Graph {
  nodes: ReadonlyMap<string, LayoutNode>;
  hierarchy: Hierarchy;
  /** Edges between siblings, by the container of the siblings. */
  siblingEdges: ReadonlyMap<string, LayoutEdge[]>;
  arranged: Map<string, Arranged>;
}

/** Space inside a container, above its children (for its title) and on the other sides. */
export const HEADER = 44;
export const PADDING = 18;

const GAP = 18;
const RANK_GAP = 76;
const ASPECT = 1.6;

/** Return boxes in absolute coordinates by node id, the same for the same input in any order. */
export function arrange(input: LayoutInput): Map<string, Box> {
  const nodes = new Map(input.nodes.map((node) => [node.id, node]));
  const hierarchy = hierarchyOf(nodes);
  const siblingEdges = liftEdges(input.edges, hierarchy);
  const graph: Graph = { nodes, hierarchy, siblingEdges, arranged: new Map() };
  arrangeContainer(graph, TOP);
  const boxes = new Map<string, Box>();
  place(graph, TOP, 0, 0, boxes);
  return boxes;
}

function arrangeContainer(graph: Graph, container: string): Arranged {
  const children = graph.hierarchy.childrenOf.get(container) ?? [];
  const sizes = new Map(children.map((id) => [id, sizeOf(graph, id)]));
  const edges = graph.siblingEdges.get(container) ?? [];
  const connected = new Set(edges.flatMap(({ source, target }) => [source, target]));
  const layered = layer(
    pick(sizes, (id) => connected.has(id)),
    edges,
  );
  const grid = fillGrid(
    pick(sizes, (id) => !connected.has(id)),
    layered.size.width,
  );
  const arranged = stack(layered, grid);
  graph.arranged.set(container, arranged);
  return arranged;
}

function sizeOf(graph: Graph, id: string): Size {
  const node = graph.nodes.get(id) as LayoutNode;
  if (!graph.hierarchy.childrenOf.has(id)) return { width: node.width, height: node.height };
  const { size } = graph.arranged.get(id) ?? arrangeContainer(graph, id);
  return frame(size, node);
}

function place(
  graph: Graph,
  container: string,
  x: number,
  y: number,
  boxes: Map<string, Box>,
): void {
  const arranged = graph.arranged.get(container) as Arranged;
  for (const [id, at] of arranged.places) {
    const left = x + at.x;
    const top = y + at.y;
    boxes.set(id, { x: left, y: top, ...sizeOf(graph, id) });
    if (graph.arranged.has(id)) place(graph, id, left + PADDING, top + HEADER, boxes);
  }
}

/** The size of a container around children that take `inner`; its `title` fits as well. */
export function frame(inner: Size, title: Size): Size {
  return {
    width: Math.max(inner.width + 2 * PADDING, title.width + PADDING),
    height: inner.height + HEADER + PADDING,
  };
}

/** Replace each edge by the one between the siblings its ends lie in, each pair once, in order. */
function liftEdges(edges: LayoutEdge[], hierarchy: Hierarchy): Map<string, LayoutEdge[]> {
  const lifted = new Map<string, Map<string, LayoutEdge>>();
  for (const edge of edges) {
    const found = siblings(edge, hierarchy);
    if (found === null) continue;
    const { container, source, target } = found;
    const pairs = lifted.get(container) ?? new Map<string, LayoutEdge>();
    lifted.set(container, pairs.set(JSON.stringify([source, target]), { source, target }));
  }
  return new Map([...lifted].map(([container, pairs]) => [container, inOrder(pairs)]));
}

function inOrder(pairs: Map<string, LayoutEdge>): LayoutEdge[] {
  return [...pairs.keys()].sort().map((key) => pairs.get(key) as LayoutEdge);
}

/** The innermost container that holds both ends, and its children in which they lie. */
function siblings(
  { source, target }: LayoutEdge,
  hierarchy: Hierarchy,
): { container: string; source: string; target: string } | null {
  const up = [source, ...ancestors(hierarchy, source), TOP];
  const down = [target, ...ancestors(hierarchy, target), TOP];
  const container = up.find((id) => down.includes(id)) as string;
  const from = up[up.indexOf(container) - 1];
  const to = down[down.indexOf(container) - 1];
  if (from === undefined || to === undefined || from === to) return null;
  return { container, source: from, target: to };
}

/** Layer downwards or to the right, whichever comes closer to the shape of a screen. */
function layer(sizes: Map<string, Size>, edges: LayoutEdge[]): Arranged {
  if (sizes.size === 0) return { size: { width: 0, height: 0 }, places: new Map() };
  const options = (["TB", "LR"] as const).map((direction) => layered(sizes, edges, direction));
  const [down, right] = options as [Arranged, Arranged];
  return distance(right.size) < distance(down.size) ? right : down;
}

function distance({ width, height }: Size): number {
  return Math.abs(Math.log(width / height / ASPECT));
}

function layered(sizes: Map<string, Size>, edges: LayoutEdge[], rankdir: "TB" | "LR"): Arranged {
  const graph = new dagre.graphlib.Graph<object, Size & { x: number; y: number }, object>();
  graph.setGraph({ rankdir, nodesep: GAP, ranksep: RANK_GAP, edgesep: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [id, { width, height }] of sizes) graph.setNode(id, { width, height, x: 0, y: 0 });
  for (const { source, target } of edges) graph.setEdge(source, target);
  dagre.layout(graph);
  return fromCentres(sizes, (id) => graph.node(id));
}

function fromCentres(sizes: Map<string, Size>, at: (id: string) => Box): Arranged {
  const corners = [...sizes].map(([id, { width, height }]) => {
    const { x, y } = at(id);
    return { id, width, height, x: x - width / 2, y: y - height / 2 };
  });
  const left = Math.min(...corners.map(({ x }) => x));
  const top = Math.min(...corners.map(({ y }) => y));
  return {
    places: new Map(corners.map(({ id, x, y }) => [id, { x: x - left, y: y - top }])),
    size: {
      width: Math.max(...corners.map(({ x, width }) => x + width)) - left,
      height: Math.max(...corners.map(({ y, height }) => y + height)) - top,
    },
  };
}

function fillGrid(sizes: Map<string, Size>, wantedWidth: number): Arranged {
  const cell = {
    width: Math.max(0, ...[...sizes.values()].map(({ width }) => width)) + GAP,
    height: Math.max(0, ...[...sizes.values()].map(({ height }) => height)) + GAP,
  };
  const square = Math.ceil(Math.sqrt((sizes.size * cell.height * ASPECT) / cell.width));
  const columns = Math.max(1, square, Math.floor((wantedWidth + GAP) / cell.width));
  const used = Math.min(columns, sizes.size);
  const places = [...sizes.keys()].map((id, index): [string, { x: number; y: number }] => [
    id,
    { x: (index % columns) * cell.width, y: Math.floor(index / columns) * cell.height },
  ]);
  const size = {
    width: Math.max(0, used * cell.width - GAP),
    height: Math.max(0, Math.ceil(sizes.size / columns) * cell.height - GAP),
  };
  return { places: new Map(places), size };
}

function stack(above: Arranged, below: Arranged): Arranged {
  const gap = above.places.size > 0 && below.places.size > 0 ? GAP * 2 : 0;
  const drop = above.size.height + gap;
  const lowered = [...below.places].map(([id, { x, y }]) => [id, { x, y: y + drop }] as const);
  return {
    places: new Map([...above.places, ...lowered]),
    size: {
      width: Math.max(above.size.width, below.size.width),
      height: drop + below.size.height,
    },
  };
}

function pick(sizes: Map<string, Size>, wanted: (id: string) => boolean): Map<string, Size> {
  return new Map([...sizes].filter(([id]) => wanted(id)));
}
