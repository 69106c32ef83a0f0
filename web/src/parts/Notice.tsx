import type { ReactNode } from "react";
import { Logo } from "./Logo";

interface NoticeProps {
  title: string;
  advice: string;
  tone?: "plain" | "bad";
  children?: ReactNode;
}

/** Says what is the matter and what to do; the buttons for it are the children. */
export function Notice({ title, advice, tone = "plain", children }: NoticeProps) {
  return (
    <div className="notice" data-tone={tone} role={tone === "bad" ? "alert" : "status"}>
      {tone === "plain" && <Logo />}
      <h2>{title}</h2>
      <p>{advice}</p>
      {children && <div className="notice-actions">{children}</div>}
    </div>
  );
}
