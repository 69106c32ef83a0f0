/** How an edge runs between two boxes. */
import type { Point, SceneEdge } from "../graph/scene";
import type { Box } from "../layout/arrange";

export interface EdgeLine {
  path: string;
  /** Corners of the arrowhead. */
  head: string;
  middle: Point;
}

const LANE_GAP = 14;
const CORNER = 10;
const HEAD_LENGTH = 8;
const HEAD_HALF = 4;
const LOOP = 16;
const LABEL_STEP = 0.3;

/** Tell parallel edges apart: a lane per edge, 0 for a lone one, else around 0 in steps of 1. */
export function lanesOf(edges: Iterable<SceneEdge>): Map<string, number> {
  const byPair = new Map<string, string[]>();
  for (const { id, source, target } of edges) {
    const pair = JSON.stringify([source, target].sort());
    byPair.set(pair, [...(byPair.get(pair) ?? []), id]);
  }
  return new Map([...byPair.values()].flatMap(centred));
}

function centred(ids: string[]): [string, number][] {
  return ids.sort().map((id, index) => [id, index - (ids.length - 1) / 2]);
}

/** Leave and arrive at right angles to the two facing sides, shifted by `lane`. */
export function lineBetween(from: Box, to: Box, lane: number): EdgeLine {
  const isSame = from.x === to.x && from.y === to.y && from.width === to.width;
  if (isSame) return loop(from, lane);
  const gapX = Math.max(to.x - (from.x + from.width), from.x - (to.x + to.width));
  const gapY = Math.max(to.y - (from.y + from.height), from.y - (to.y + to.height));
  return gapY >= gapX ? vertical(from, to, lane) : horizontal(from, to, lane);
}

function vertical(from: Box, to: Box, lane: number): EdgeLine {
  const down = centre(to).y >= centre(from).y ? 1 : -1;
  const start = { x: centre(from).x + along(from.width, lane), y: side(from.y, from.height, down) };
  const end = { x: centre(to).x + along(to.width, lane), y: side(to.y, to.height, -down) };
  return curve(start, end, { x: 0, y: down }, lane);
}

function horizontal(from: Box, to: Box, lane: number): EdgeLine {
  const right = centre(to).x >= centre(from).x ? 1 : -1;
  const start = {
    x: side(from.x, from.width, right),
    y: centre(from).y + along(from.height, lane),
  };
  const end = { x: side(to.x, to.width, -right), y: centre(to).y + along(to.height, lane) };
  return curve(start, end, { x: right, y: 0 }, lane);
}

/** Around the top right corner, within the gap to the neighbours. */
function loop(box: Box, lane: number): EdgeLine {
  const right = box.x + box.width;
  const reach = LOOP + Math.abs(lane) * LANE_GAP;
  const start = { x: right - 2 * CORNER, y: box.y };
  const end = { x: right, y: box.y + 2 * CORNER };
  const first = { x: start.x, y: box.y - reach * 1.6 };
  const second = { x: right + reach * 1.6, y: end.y };
  const tip = { x: right + HEAD_LENGTH, y: end.y };
  return {
    path: `M${at(start)} C${at(first)} ${at(second)} ${at(tip)}`,
    head: arrow(end, { x: -1, y: 0 }),
    middle: { x: right + reach / 2, y: box.y - reach / 2 },
  };
}

/** `direction` is the unit vector in which the edge leaves and arrives. */
function curve(start: Point, end: Point, direction: Point, lane: number): EdgeLine {
  const tip = { x: end.x - direction.x * HEAD_LENGTH, y: end.y - direction.y * HEAD_LENGTH };
  const bend = Math.min(160, Math.max(20, Math.hypot(end.x - start.x, end.y - start.y) * 0.4));
  const first = { x: start.x + direction.x * bend, y: start.y + direction.y * bend };
  const second = { x: tip.x - direction.x * bend, y: tip.y - direction.y * bend };
  const sameWay = direction.x + direction.y; // -1 or 1: labels of opposite edges stay apart too
  const share = Math.min(0.88, Math.max(0.12, 0.5 + lane * sameWay * LABEL_STEP));
  return {
    path: `M${at(start)} C${at(first)} ${at(second)} ${at(tip)}`,
    head: arrow(end, direction),
    middle: onCurve([start, first, second, tip], share),
  };
}

function arrow(end: Point, { x, y }: Point): string {
  const back = { x: end.x - x * HEAD_LENGTH, y: end.y - y * HEAD_LENGTH };
  const left = { x: back.x - y * HEAD_HALF, y: back.y + x * HEAD_HALF };
  const right = { x: back.x + y * HEAD_HALF, y: back.y - x * HEAD_HALF };
  return `${at(end)} ${at(left)} ${at(right)}`;
}

/** A cubic Bézier curve at `t`. */
function onCurve([a, b, c, d]: [Point, Point, Point, Point], t: number): Point {
  const u = 1 - t;
  const mix = (p: number, q: number, r: number, s: number) =>
    u * u * u * p + 3 * u * u * t * q + 3 * u * t * t * r + t * t * t * s;
  return { x: mix(a.x, b.x, c.x, d.x), y: mix(a.y, b.y, c.y, d.y) };
}

function centre(box: Box): Point {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

function side(start: number, length: number, direction: number): number {
  return direction > 0 ? start + length : start;
}

/** How far from the middle of a side a lane meets it, without leaving the side. */
function along(length: number, lane: number): number {
  const room = Math.max(0, length / 2 - CORNER);
  return Math.min(room, Math.max(-room, lane * LANE_GAP));
}

function at({ x, y }: Point): string {
  return `${round(x)},${round(y)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
