import { useEffect, useRef, useState } from "react";

interface ShownOnceProps {
  /** What it is and whom to give it to. */
  title: string;
  value: string;
  done: () => void;
}

/** A secret that only this answer of the server held. */
export function ShownOnce({ title, value, done }: ShownOnceProps) {
  const field = useRef<HTMLInputElement>(null);
  const [said, say] = useState<string | null>(null);
  useEffect(() => field.current?.select(), []); // where the focus was, the form is gone
  const copy = async () => {
    field.current?.select();
    try {
      await navigator.clipboard.writeText(value);
      say("Copied.");
    } catch {
      say("It is selected; copy it with the keyboard."); // plain http has no clipboard
    }
  };
  return (
    <section className="shown-once" aria-label={title}>
      <p>{title} It is shown only this once.</p>
      <div className="shown-once-line">
        <input ref={field} readOnly aria-label={title} value={value} />
        <button type="button" className="button primary" onClick={copy}>
          Copy
        </button>
        <button type="button" className="button" onClick={done}>
          Done
        </button>
      </div>
      <p className="hint" aria-live="polite">
        {said}
      </p>
    </section>
  );
}
