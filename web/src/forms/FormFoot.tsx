interface FormFootProps {
  busy: boolean;
  error: string | null;
  label: string;
  busyLabel: string;
}

/** The button of a form, and what was wrong with the last attempt. */
export function FormFoot({ busy, error, label, busyLabel }: FormFootProps) {
  return (
    <>
      <Refusal error={error} />
      <button type="submit" className="button primary" disabled={busy}>
        {busy ? busyLabel : label}
      </button>
    </>
  );
}

export function Refusal({ error }: { error: string | null }) {
  if (error === null) return null;
  return (
    <p className="form-error" role="alert">
      {error}
    </p>
  );
}
