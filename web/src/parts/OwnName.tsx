import { useState } from "react";
import { type Identity, initials } from "../identity";
import { OwnNameForm } from "./OwnNameForm";
import { tint } from "./tint";

interface OwnNameProps {
  own: Identity;
  rename: (name: string) => void;
}

/** The own avatar of somebody without an account: the button that changes the own name. */
export function OwnName({ own, rename }: OwnNameProps) {
  const [editing, setEditing] = useState(false);
  const keep = (name: string) => {
    if (name !== "") rename(name);
    setEditing(false);
  };
  return (
    <>
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
    </>
  );
}
