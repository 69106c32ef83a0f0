import { type PointerEvent, useLayoutEffect, useState } from "react";
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

type Handler = (event: PointerEvent<SVGSVGElement>) => void;

interface Handlers {
  onPointerDown: Handler;
  onPointerMove: Handler;
  onPointerUp: Handler;
  onPointerCancel: Handler;
}

/** One pointer selects, drags a node or pans; two pan and zoom. */
export function useGestures(control: ViewControl, target: GestureTarget): Handlers {
  const [gestures] = useState(() => new Gestures(control, target));
  useLayoutEffect(() => {
    gestures.control = control;
    gestures.target = target;
  });
  return gestures.handlers;
}

class Gestures {
  readonly handlers: Handlers = {
    onPointerDown: (event) => this.#down(event),
    onPointerMove: (event) => this.#move(event),
    onPointerUp: (event) => this.#up(event),
    onPointerCancel: (event) => this.#up(event),
  };
  readonly #pointers = new Map<number, Point>();
  #gesture: Gesture | null = null;

  constructor(
    public control: ViewControl,
    public target: GestureTarget,
  ) {}

  #down(event: PointerEvent<SVGSVGElement>): void {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const start = pointIn(event.currentTarget, event);
    this.#pointers.set(event.pointerId, start);
    const nodeId = nodeAt(event.target);
    this.#gesture = this.#pointers.size === 1 ? { nodeId, start, moving: false } : null;
    if (this.#gesture) this.target.select(nodeId);
  }

  #move(event: PointerEvent<SVGSVGElement>): void {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = pointIn(event.currentTarget, event);
    if (this.#pointers.size === 2) this.#pinch(event.pointerId, before, now);
    else if (this.#gesture) this.#single(this.#gesture, before, now);
    this.#pointers.set(event.pointerId, now);
  }

  #pinch(pointerId: number, before: Point, now: Point): void {
    const other = [...this.#pointers].find(([id]) => id !== pointerId)?.[1] as Point;
    const factor = apart(now, other) / Math.max(1, apart(before, other));
    this.control.set((view) => zoomed(view, other, factor));
  }

  #single(gesture: Gesture, before: Point, now: Point): void {
    gesture.moving ||= apart(now, gesture.start) > CLICK_SLACK_PX;
    if (!gesture.moving) return;
    if (gesture.nodeId !== null && this.target.editable) {
      this.target.drag(gesture.nodeId, this.#moved(gesture.start, now), false);
      return;
    }
    const by = { x: now.x - before.x, y: now.y - before.y };
    this.control.set((view) => ({ ...view, x: view.x + by.x, y: view.y + by.y }));
  }

  #up(event: PointerEvent<SVGSVGElement>): void {
    const gesture = this.#gesture;
    const last = this.#pointers.get(event.pointerId);
    this.#pointers.delete(event.pointerId);
    this.#gesture = null;
    if (gesture?.moving && last && gesture.nodeId !== null && this.target.editable) {
      this.target.drag(gesture.nodeId, this.#moved(gesture.start, last), true);
    }
  }

  #moved(start: Point, now: Point): Point {
    const { scale } = this.control.view;
    return { x: (now.x - start.x) / scale, y: (now.y - start.y) / scale };
  }
}

export function nodeAt(element: EventTarget | null): string | null {
  return element instanceof Element
    ? (element.closest("[data-node]")?.getAttribute("data-node") ?? null)
    : null;
}

function apart(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
