import { type CSSProperties, useState } from "react";
import { type Identity, initials } from "../identity";
import type { Person } from "../live/presence";
import { OwnNameForm } from "./OwnNameForm";

const MOST_SHOWN = 5;

interface PeopleProps {
  people: readonly Person[];
  own: Identity;
  rename: (name: string) => void;
}

/** Who is here; the own avatar comes last and is the button that changes the own name. */
export function People({ people, own, rename }: PeopleProps) {
  const [editing, setEditing] = useState(false);
  const hidden = people.slice(MOST_SHOWN);
  const keep = (name: string) => {
    if (name !== "") rename(name);
    setEditing(false);
  };
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
      <button
        type="button"
        className="avatar own"
        title={`${own.name} (you): change your name`}
        aria-label={`You are ${own.name}. Change your name`}
        aria-expanded={editing}
        style={tint(own.color)}
        onClick={() => setEditing(!editing)}
      >
        {initials(own.name)}
      </button>
      {editing && <OwnNameForm own={own} keep={keep} close={() => setEditing(false)} />}
    </div>
  );
}

function tint(color: string): CSSProperties {
  return { "--tint": color } as CSSProperties;
}
