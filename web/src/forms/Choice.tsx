import { type SelectHTMLAttributes, useId } from "react";

interface ChoiceProps extends SelectHTMLAttributes<HTMLSelectElement> {
  label: string;
  /** Values and what they are called. */
  options: readonly (readonly [string, string])[];
}

export function Choice({ label, options, ...select }: ChoiceProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} {...select}>
        {options.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}

/** How long something lasts, in days; the empty value is for ever. */
export const DURATIONS = [
  ["1", "1 day"],
  ["7", "7 days"],
  ["30", "30 days"],
  ["90", "90 days"],
] as const;

export const FOR_EVER = ["", "No expiry"] as const;

export function daysOf(value: string): number | null {
  return value === "" ? null : Number(value);
}
