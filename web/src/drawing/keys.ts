import type { KeyboardEvent } from "react";
import type { CanvasProps } from "./Canvas";
import { type Direction, nearest } from "./nearest";
import type { ViewControl } from "./useView";

type Action = (() => void) | null;

const ZOOM_STEP = 1.25;
const ARROWS: Record<string, Direction> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
};

/** Arrows go from node to node; the keys are named in the description of the drawing. */
export function onKey(
  event: KeyboardEvent,
  props: CanvasProps,
  control: ViewControl,
  fit: () => void,
): void {
  const direction = ARROWS[event.key];
  if (direction) {
    event.preventDefault();
    go(nearest(props.boxes, props.selected, direction), props, control);
    return;
  }
  const act = zoomFor(event.key, control, fit) ?? actionFor(event.key, props);
  if (!act || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  act();
}

function zoomFor(key: string, control: ViewControl, fit: () => void): Action {
  if (key === "+" || key === "=") return () => control.zoom(ZOOM_STEP);
  if (key === "-") return () => control.zoom(1 / ZOOM_STEP);
  return key === "0" ? fit : null;
}

function actionFor(key: string, { selected, actions, target }: CanvasProps): Action {
  if (key === "Escape") return () => target.select(null);
  if (selected === null || !target.editable) return null;
  if (key === "Enter" || key === "F2") return () => actions.setRenaming(selected);
  if (key === "Delete" || key === "Backspace") return () => actions.remove(selected);
  return null;
}

function go(nodeId: string | null, { boxes, target }: CanvasProps, control: ViewControl): void {
  const box = boxes.get(nodeId ?? "");
  if (!box) return;
  target.select(nodeId);
  control.reveal(box);
}
