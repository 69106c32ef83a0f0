import { type ReactNode, useEffect } from "react";
import { HOME_HREF } from "../routes";
import { useMe } from "../session/useWho";
import { AccountMenu } from "./AccountMenu";
import { Logo } from "./Logo";

interface PageFrameProps {
  /** For the window; the page shows its own. */
  title: string | null;
  children: ReactNode;
}

/** What is around everything but an open graph. */
export function PageFrame({ title, children }: PageFrameProps) {
  const isOpen = useMe().credential === "open";
  useEffect(() => {
    document.title = title === null ? "Layercake" : `${title} – Layercake`;
  }, [title]);
  return (
    <div className="home">
      <header className="home-bar">
        <a className="home-mark" href={HOME_HREF}>
          <Logo />
          <span className="wordmark">Layercake</span>
        </a>
        <a className="quiet-link" href="/docs">
          API
        </a>
        {!isOpen && <AccountMenu />}
      </header>
      <main className="home-body">{children}</main>
    </div>
  );
}
