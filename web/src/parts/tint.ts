import type { CSSProperties } from "react";

/** The colour of somebody, for styles. */
export function tint(color: string): CSSProperties {
  return { "--tint": color } as CSSProperties;
}
