import type { SaveState } from "../saved";
import { savedWords } from "../savedWords";

export function SavedPill({ state }: { state: SaveState }) {
  const { tone, label, hint } = savedWords(state);
  return (
    <output className="pill" data-tone={tone} title={hint} data-testid="saved">
      <span className="pill-dot" aria-hidden="true" />
      {label}
    </output>
  );
}
