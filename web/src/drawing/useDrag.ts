import { useEffect, useRef, useState } from "react";
import { moveNodes } from "../graph/edit";
import { type Hierarchy, leavesOf } from "../graph/hierarchy";
import type { Point } from "../graph/scene";
import type { Box } from "../layout/arrange";
import type { LiveGraph } from "../live/LiveGraph";

/** Others see a drag this often; each write is an edit that the server stores. */
const SHARE_INTERVAL_MS = 120;

type Places = ReadonlyMap<string, Point>;

interface Drag {
  places: Places;
  drag: (nodeId: string, by: Point, done: boolean) => void;
}

const NOWHERE: Places = new Map();

/** Drag a node, or a container with all it holds: smooth here, shared as it goes, kept at the end. */
export function useDrag(
  live: LiveGraph,
  hierarchy: Hierarchy,
  boxes: { readonly current: ReadonlyMap<string, Box> },
  editable: boolean,
): Drag {
  const [places, setPlaces] = useState<Places>(NOWHERE);
  const starts = useRef<Places>(NOWHERE);
  const sharedAtMs = useRef(0);
  useEffect(() => {
    if (editable) return;
    starts.current = NOWHERE; // a drag that was under way has no end
    setPlaces(NOWHERE);
  }, [editable]);
  const drag = (nodeId: string, by: Point, done: boolean) => {
    if (starts.current.size === 0) starts.current = startsOf(hierarchy, boxes.current, nodeId);
    const now = shifted(starts.current, by);
    setPlaces(done ? NOWHERE : now);
    if (done) starts.current = NOWHERE;
    if (!done && Date.now() - sharedAtMs.current < SHARE_INTERVAL_MS) return;
    sharedAtMs.current = Date.now();
    moveNodes(live.doc, now);
  };
  return { places, drag };
}

function startsOf(hierarchy: Hierarchy, boxes: ReadonlyMap<string, Box>, nodeId: string): Places {
  return new Map(leavesOf(hierarchy, nodeId).flatMap((id) => entry(id, boxes.get(id))));
}

function entry(id: string, box: Box | undefined): [string, Point][] {
  return box ? [[id, { x: box.x, y: box.y }]] : [];
}

function shifted(starts: Places, by: Point): Places {
  return new Map([...starts].map(([id, { x, y }]) => [id, { x: x + by.x, y: y + by.y }]));
}
