import type { ReactNode } from "react";
import { initials } from "../identity";
import type { Person } from "../live/presence";
import { tint } from "./tint";

const MOST_SHOWN = 5;

interface PeopleProps {
  people: readonly Person[];
  /** The own avatar, which comes last. */
  children: ReactNode;
}

/** Who is here. */
export function People({ people, children }: PeopleProps) {
  const hidden = people.slice(MOST_SHOWN);
  return (
    <div className="people">
      <ul className="avatars" aria-label="People here">
        {hidden.length > 0 && (
          <li className="avatar more" title={hidden.map(({ name }) => name).join(", ")}>
            +{hidden.length}
          </li>
        )}
        {people.slice(0, MOST_SHOWN).map(({ clientId, name, color }) => (
          <li key={clientId} className="avatar" title={name} style={tint(color)}>
            <span aria-hidden="true">{initials(name)}</span>
            <span className="unseen">{name}</span>
          </li>
        ))}
      </ul>
      {children}
    </div>
  );
}
