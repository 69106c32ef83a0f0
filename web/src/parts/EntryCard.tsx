import { type ReactNode, useEffect } from "react";
import { Logo } from "./Logo";

interface EntryCardProps {
  title: string;
  lead?: ReactNode;
  children?: ReactNode;
}

/** The page of somebody who is not in yet. */
export function EntryCard({ title, lead, children }: EntryCardProps) {
  useEffect(() => {
    const before = document.title;
    document.title = `${title} – Layercake`;
    return () => {
      document.title = before; // of the page that waited below
    };
  }, [title]);
  return (
    <main className="middle">
      <div className="entry-card">
        <Logo />
        <h1>{title}</h1>
        {lead && <p className="quiet">{lead}</p>}
        {children}
      </div>
    </main>
  );
}
