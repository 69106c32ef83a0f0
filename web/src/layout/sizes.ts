import type { Size } from "./arrange";

const CHARACTER_WIDTH = 7.8;
const SIDE = 14;
const STEP = 24;
const NODE_HEIGHT = 38;
const LONGEST = 32;

/** The size of a node's box. Counted, not measured: every browser must arrange alike. */
export function sizeOfLabel(label: string): Size {
  const width = shortened(label).length * CHARACTER_WIDTH + 2 * SIDE;
  return { width: Math.max(3, Math.ceil(width / STEP)) * STEP, height: NODE_HEIGHT };
}

/** A label as it fits its box. */
export function shortened(label: string): string {
  const characters = [...label];
  if (characters.length <= LONGEST) return label;
  return `${characters.slice(0, LONGEST - 1).join("")}…`;
}
