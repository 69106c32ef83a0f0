/** Who else is here, from awareness states. What others write there is not trusted to be right. */

export interface Person {
  clientId: number;
  name: string;
  color: string;
  /** The node they have selected. */
  selection: string | null;
}

const HEX_COLOUR = /^#[0-9a-f]{6}$/i;
const FALLBACK_COLOUR = "#5c6470";
const NAME_LIMIT = 60;

/**
 * Everyone but `ownClientId`, by name; states without a user are not people. Where there are accounts
 * (`areVerified`), the name is the one that the server vouches for, whatever else a client writes.
 */
export function peopleIn(
  states: ReadonlyMap<number, unknown>,
  ownClientId: number,
  areVerified: boolean,
): Person[] {
  return [...states]
    .filter(([clientId]) => clientId !== ownClientId)
    .flatMap(([clientId, state]) => person(clientId, state, areVerified) ?? [])
    .sort((a, b) => a.name.localeCompare(b.name) || a.clientId - b.clientId);
}

/** Colours of the people who have a node selected, by node id. */
export function selectionsOf(people: readonly Person[]): ReadonlyMap<string, string> {
  return new Map(people.flatMap(({ selection, color }) => (selection ? [[selection, color]] : [])));
}

function person(clientId: number, state: unknown, isVerified: boolean): Person | null {
  const { user, principal, selection } = (state ?? {}) as Record<string, unknown>;
  const { name } = ((isVerified ? principal : user) ?? {}) as { name?: unknown };
  const { color } = (user ?? {}) as { color?: unknown };
  if (typeof name !== "string" || name.trim() === "") return null;
  return {
    clientId,
    name: name.trim().slice(0, NAME_LIMIT),
    color: typeof color === "string" && HEX_COLOUR.test(color) ? color : FALLBACK_COLOUR,
    selection: typeof selection === "string" ? selection : null,
  };
}
