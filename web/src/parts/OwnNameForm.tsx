import { useState } from "react";
import { type Identity, NAME_LIMIT } from "../identity";

interface OwnNameFormProps {
  own: Identity;
  keep: (name: string) => void;
  close: () => void;
}

export function OwnNameForm({ own, keep, close }: OwnNameFormProps) {
  const [name, setName] = useState(own.name);
  return (
    <form
      className="popover"
      onSubmit={(event) => {
        event.preventDefault();
        keep(name.trim());
      }}
      onKeyDown={(event) => event.key === "Escape" && close()}
    >
      <label>
        Your name, as others see it
        <input
          // biome-ignore lint/a11y/noAutofocus: the form appears because someone asked for it
          autoFocus
          required
          maxLength={NAME_LIMIT}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <button type="submit" className="button primary">
        Keep
      </button>
    </form>
  );
}
