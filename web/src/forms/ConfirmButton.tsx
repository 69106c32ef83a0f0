import { useState } from "react";

interface ConfirmButtonProps {
  label: string;
  /** What the second press says it does. */
  confirm: string;
  /** Whom or what it is about, for who does not see the row. */
  about: string;
  act: () => void;
}

/** A button that asks once more; leaving it is no. */
export function ConfirmButton({ label, confirm, about, act }: ConfirmButtonProps) {
  const [asking, setAsking] = useState(false);
  const press = () => {
    if (asking) act();
    setAsking(!asking);
  };
  return (
    <button
      type="button"
      className="button danger"
      onClick={press}
      onBlur={() => setAsking(false)}
      onKeyDown={(event) => event.key === "Escape" && setAsking(false)}
    >
      {asking ? confirm : label}
      <span className="unseen"> {about}</span>
    </button>
  );
}
