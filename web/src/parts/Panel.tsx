import type { ReactNode } from "react";

interface PanelProps {
  title: string;
  lead?: string;
  children: ReactNode;
}

/** One subject of a page. */
export function Panel({ title, lead, children }: PanelProps) {
  return (
    <section className="panel" aria-label={title}>
      <h2>{title}</h2>
      {lead && <p className="quiet">{lead}</p>}
      {children}
    </section>
  );
}
