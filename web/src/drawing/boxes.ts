import { type Hierarchy, TOP } from "../graph/hierarchy";
import type { Point, Scene, SceneNode } from "../graph/scene";
import { type Box, frame, HEADER, PADDING } from "../layout/arrange";
import { sizeOfLabel } from "../layout/sizes";
import type { Arrangement } from "../layout/useArrangement";
import { boundsOf } from "./view";

const NOTHING_MOVED: ReadonlyMap<string, Point> = new Map();

/**
 * Where everything is drawn, containers before what they contain. A node is where it is being
 * dragged to (`moved`), else at its own position, else where it was arranged; a container is
 * around its children. A node that is neither placed nor arranged yet is left out.
 */
export function boxesOf(
  scene: Scene,
  hierarchy: Hierarchy,
  arrangement: Arrangement,
  moved: ReadonlyMap<string, Point> = NOTHING_MOVED,
): Map<string, Box> {
  const boxes = new Map<string, Box>();
  const leafBox = ({ id, label, position }: SceneNode): Box | null => {
    const at = moved.get(id) ?? position ?? arrangement.get(id);
    return at ? { x: at.x, y: at.y, ...sizeOfLabel(label) } : null;
  };
  const visit = (id: string): Box | null => {
    const node = scene.nodes.get(id) as SceneNode;
    const children = hierarchy.childrenOf.get(id);
    boxes.set(id, { x: 0, y: 0, width: 0, height: 0 }); // holds its turn before its children
    const box = children
      ? around(
          node.label,
          children.flatMap((child) => visit(child) ?? []),
        )
      : leafBox(node);
    if (box) boxes.set(id, box);
    else boxes.delete(id);
    return box;
  };
  for (const id of hierarchy.childrenOf.get(TOP) ?? []) visit(id);
  return boxes;
}

function around(label: string, children: Box[]): Box | null {
  const inner = boundsOf(children);
  if (inner === null) return null;
  return { x: inner.x - PADDING, y: inner.y - HEADER, ...frame(inner, sizeOfLabel(label)) };
}
