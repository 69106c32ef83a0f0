import type { ReactNode } from "react";
import type { Loaded } from "../loading";
import { sentenceOf } from "../words";

interface ListingProps<T> {
  items: Loaded<T[]>;
  /** What to say of an empty list. */
  none: string;
  row: (item: T) => ReactNode;
  retry: () => void;
}

/** Rows that are loaded from the server. */
export function Listing<T>({ items, none, row, retry }: ListingProps<T>) {
  if (items.state === "loading") return <p className="quiet">Loading…</p>;
  if (items.state === "failed") {
    return (
      <p className="form-error" role="alert">
        {sentenceOf(items.error)}{" "}
        <button type="button" className="link-button" onClick={retry}>
          Try again
        </button>
      </p>
    );
  }
  if (items.value.length === 0) return <p className="quiet">{none}</p>;
  return <ul className="rows">{items.value.map(row)}</ul>;
}

interface RowProps {
  title: ReactNode;
  facts: ReactNode;
  children?: ReactNode;
}

export function Row({ title, facts, children }: RowProps) {
  return (
    <li className="row">
      <div className="row-text">
        <p className="row-title">{title}</p>
        <p className="quiet">{facts}</p>
      </div>
      {children && <div className="row-actions">{children}</div>}
    </li>
  );
}
