/** Who this browser is to the others: a name and a colour, kept in this browser only. */

export interface Identity {
  name: string;
  color: string;
}

export const NAME_LIMIT = 40;
const KEY = "layercake.identity";

const MOODS = [
  "Bright",
  "Calm",
  "Curious",
  "Gentle",
  "Keen",
  "Merry",
  "Quick",
  "Quiet",
  "Sunny",
  "Witty",
];
const ANIMALS = [
  "Badger",
  "Beaver",
  "Falcon",
  "Fox",
  "Heron",
  "Lynx",
  "Otter",
  "Owl",
  "Robin",
  "Wren",
];
/** Dark enough for white initials (contrast of 4.5 and more). */
const COLOURS = [
  "#b4235a",
  "#0b7285",
  "#5f3dc4",
  "#2b7a2f",
  "#a14a00",
  "#1864ab",
  "#8a2fa0",
  "#5c5f16",
];

/** Read the kept identity, or make a friendly one up with `random` (0 <= n < 1) and keep it. */
export function ownIdentity(storage: Storage, random: () => number): Identity {
  const kept = parse(storage.getItem(KEY));
  if (kept) return kept;
  const pick = (from: string[]) => from[Math.floor(random() * from.length)] as string;
  const made = { name: `${pick(MOODS)} ${pick(ANIMALS)}`, color: pick(COLOURS) };
  keepIdentity(storage, made);
  return made;
}

export function keepIdentity(storage: Storage, identity: Identity): void {
  storage.setItem(KEY, JSON.stringify(identity));
}

/** Up to two letters that stand for a name. */
export function initials(name: string): string {
  const parts = name.trim().split(/\s+/);
  const ends = parts.length > 1 ? [parts[0], parts.at(-1)] : [parts[0]];
  return (
    ends
      .map((part) => [...(part ?? "")][0] ?? "")
      .join("")
      .toUpperCase() || "?"
  );
}

function parse(text: string | null): Identity | null {
  try {
    const { name, color } = JSON.parse(text ?? "null") as Identity;
    return typeof name === "string" && COLOURS.includes(color) ? { name, color } : null;
  } catch {
    return null;
  }
}
