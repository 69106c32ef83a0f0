const HEX = /^#?([0-9a-f]{3}|[0-9a-f]{4}|[0-9a-f]{6}|[0-9a-f]{8})$/i;
const NAME = /^[a-z]+$/i;

/** Read a layer's colour: hex digits with or without `#`, or a CSS colour name; null for else. */
export function parseColour(value: unknown): string | null {
  if (typeof value !== "string") return null;
  const text = value.trim();
  const hex = HEX.exec(text)?.[1];
  if (hex !== undefined) return `#${hex.toLowerCase()}`;
  return NAME.test(text) ? text.toLowerCase() : null;
}
