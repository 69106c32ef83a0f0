import { type FormEvent, useState } from "react";

const NAME_LIMIT = 200;

interface NameFormProps {
  label: string;
  placeholder: string;
  submitLabel: string;
  submit: (name: string) => Promise<void>;
  cancel: () => void;
}

/** Ask for the name of something new and make it; a refusal is said below the field. */
export function NameForm({ label, placeholder, submitLabel, submit, cancel }: NameFormProps) {
  const [name, setName] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const send = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    await submit(name.trim()).catch((reason: Error) => setError(reason.message));
    setBusy(false);
  };
  return (
    <form
      className="name-form"
      onSubmit={send}
      onKeyDown={(event) => event.key === "Escape" && cancel()}
    >
      <input
        // biome-ignore lint/a11y/noAutofocus: the form appears because someone asked for it
        autoFocus
        required
        pattern=".*\S.*"
        title="A name with at least one letter or sign"
        aria-label={label}
        placeholder={placeholder}
        maxLength={NAME_LIMIT}
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <button type="submit" className="button primary" disabled={busy}>
        {busy ? "Creating…" : submitLabel}
      </button>
      <button type="button" className="button" onClick={cancel}>
        Cancel
      </button>
      {error && (
        <p className="form-error" role="alert">
          {error}
        </p>
      )}
    </form>
  );
}
