/** The window on the drawing: screen = scene * scale + offset. */
import type { Point } from "../graph/scene";
import type { Box, Size } from "../layout/arrange";

export interface View {
  x: number;
  y: number;
  scale: number;
}

const SMALLEST = 0.05;
const LARGEST = 3;
const MARGIN = 40;

/** Zoom so that the scene point under the screen point `at` stays there. */
export function zoomed(view: View, at: Point, factor: number): View {
  const scale = clamp(view.scale * factor, SMALLEST, LARGEST);
  const ratio = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
}

/** Show all of `bounds` in the middle of a screen of `size`, never larger than life. */
export function fitted(bounds: Box, size: Size): View {
  const room = { width: size.width - 2 * MARGIN, height: size.height - 2 * MARGIN };
  const wanted = Math.min(room.width / bounds.width, room.height / bounds.height, 1);
  const scale = clamp(wanted, SMALLEST, LARGEST);
  return {
    scale,
    x: (size.width - bounds.width * scale) / 2 - bounds.x * scale,
    y: (size.height - bounds.height * scale) / 2 - bounds.y * scale,
  };
}

/** Shift the view just enough that `box` is on screen. */
export function revealing(view: View, box: Box, size: Size): View {
  return {
    scale: view.scale,
    x: view.x + shift(box.x * view.scale + view.x, box.width * view.scale, size.width),
    y: view.y + shift(box.y * view.scale + view.y, box.height * view.scale, size.height),
  };
}

export function toScene(view: View, at: Point): Point {
  return { x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale };
}

export function boundsOf(boxes: Iterable<Box>): Box | null {
  const all = [...boxes];
  if (all.length === 0) return null;
  const x = Math.min(...all.map((box) => box.x));
  const y = Math.min(...all.map((box) => box.y));
  const right = Math.max(...all.map((box) => box.x + box.width));
  const bottom = Math.max(...all.map((box) => box.y + box.height));
  return { x, y, width: right - x, height: bottom - y };
}

function shift(start: number, length: number, room: number): number {
  if (start < MARGIN) return MARGIN - start;
  return Math.min(0, room - MARGIN - (start + length));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
