import { type PointerEvent, useRef } from "react";
import type { Point } from "../graph/scene";
import { pointIn, type ViewControl } from "./useView";
import { zoomed } from "./view";

const CLICK_SLACK_PX = 4;

export interface GestureTarget {
  /** Whether nodes can be dragged. */
  editable: boolean;
  select: (nodeId: string | null) => void;
  /** The node was dragged so far, in scene units; `done` at the end. */
  drag: (nodeId: string, by: Point, done: boolean) => void;
}

interface Gesture {
  nodeId: string | null;
  start: Point;
  moving: boolean;
}

interface Handlers {
  onPointerDown: (event: PointerEvent<SVGSVGElement>) => void;
  onPointerMove: (event: PointerEvent<SVGSVGElement>) => void;
  onPointerUp: (event: PointerEvent<SVGSVGElement>) => void;
  onPointerCancel: (event: PointerEvent<SVGSVGElement>) => void;
}

/** One pointer selects, drags a node or pans; two pan and zoom. */
export function useGestures(control: ViewControl, target: GestureTarget): Handlers {
  const pointers = useRef(new Map<number, Point>());
  const gesture = useRef<Gesture | null>(null);

  const down = (event: PointerEvent<SVGSVGElement>) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const start = pointIn(event.currentTarget, event);
    pointers.current.set(event.pointerId, start);
    const nodeId = nodeAt(event.target);
    gesture.current = pointers.current.size === 1 ? { nodeId, start, moving: false } : null;
    if (gesture.current) target.select(nodeId);
  };

  const move = (event: PointerEvent<SVGSVGElement>) => {
    const before = pointers.current.get(event.pointerId);
    if (!before) return;
    const now = pointIn(event.currentTarget, event);
    if (pointers.current.size === 2) pinch(event.pointerId, before, now);
    else single(before, now);
    pointers.current.set(event.pointerId, now);
  };

  const pinch = (pointerId: number, before: Point, now: Point) => {
    const other = [...pointers.current].find(([id]) => id !== pointerId)?.[1] as Point;
    const factor = apart(now, other) / Math.max(1, apart(before, other));
    control.set((view) => zoomed(view, other, factor));
  };

  const single = (before: Point, now: Point) => {
    const current = gesture.current;
    if (!current) return;
    current.moving ||= apart(now, current.start) > CLICK_SLACK_PX;
    if (!current.moving) return;
    if (current.nodeId !== null && target.editable) {
      target.drag(current.nodeId, moved(current.start, now), false);
    } else {
      control.set((view) => ({
        ...view,
        x: view.x + now.x - before.x,
        y: view.y + now.y - before.y,
      }));
    }
  };

  const moved = (start: Point, now: Point): Point => {
    const { scale } = control.view;
    return { x: (now.x - start.x) / scale, y: (now.y - start.y) / scale };
  };

  const up = (event: PointerEvent<SVGSVGElement>) => {
    const current = gesture.current;
    const last = pointers.current.get(event.pointerId);
    pointers.current.delete(event.pointerId);
    gesture.current = null;
    if (current?.moving && last && current.nodeId !== null && target.editable) {
      target.drag(current.nodeId, moved(current.start, last), true);
    }
  };

  return { onPointerDown: down, onPointerMove: move, onPointerUp: up, onPointerCancel: up };
}

export function nodeAt(element: EventTarget): string | null {
  return element instanceof Element
    ? (element.closest("[data-node]")?.getAttribute("data-node") ?? null)
    : null;
}

function apart(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
