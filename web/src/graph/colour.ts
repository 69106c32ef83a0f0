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

/** The darkest and the lightest of `colours`, to write with on light and on dark; names don't count. */
export function extremes(colours: readonly (string | null)[]): [string, string] | null {
  const hexes = colours.filter((colour) => colour?.startsWith("#")) as string[];
  if (hexes.length === 0) return null;
  const byLight = hexes.sort((a, b) => lightness(a) - lightness(b));
  return [byLight[0] as string, byLight.at(-1) as string];
}

/** Perceived lightness of `#rgb[a]` or `#rrggbb[aa]`, 0 to 1 (weights of Rec. 709). */
function lightness(hex: string): number {
  const width = hex.length > 5 ? 2 : 1;
  const channel = (index: number) =>
    Number.parseInt(hex.slice(1 + index * width, 1 + (index + 1) * width), 16) / (16 ** width - 1);
  return 0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2);
}
