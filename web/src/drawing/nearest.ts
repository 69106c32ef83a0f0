import type { Box } from "../layout/arrange";

export type Direction = "left" | "right" | "up" | "down";

const UNIT: Record<Direction, [number, number]> = {
  left: [-1, 0],
  right: [1, 0],
  up: [0, -1],
  down: [0, 1],
};

/** The node to go to with an arrow key: ahead and near, and rather straight ahead than aside. */
export function nearest(
  boxes: ReadonlyMap<string, Box>,
  from: string | null,
  direction: Direction,
): string | null {
  const start = from === null ? undefined : boxes.get(from);
  if (!start) return boxes.keys().next().value ?? null;
  const [dx, dy] = UNIT[direction];
  let best: { id: string; cost: number } | null = null;
  for (const [id, box] of boxes) {
    const x = box.x + box.width / 2 - (start.x + start.width / 2);
    const y = box.y + box.height / 2 - (start.y + start.height / 2);
    const ahead = x * dx + y * dy;
    const aside = Math.abs(x * dy) + Math.abs(y * dx);
    const cost = ahead + 2 * aside;
    if (ahead > 1 && aside < 4 * ahead && (best === null || cost < best.cost)) best = { id, cost };
  }
  return best?.id ?? from;
}
