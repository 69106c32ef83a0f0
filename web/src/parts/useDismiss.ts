import { type RefObject, useEffect } from "react";

/** Close what is open at Escape, back to its button, and when a press or the focus goes elsewhere. */
export function useDismiss(inside: RefObject<HTMLElement | null>, close: () => void): void {
  useEffect(() => {
    const left = ({ target }: Event) => {
      if (!inside.current?.contains(target as Node)) close();
    };
    const escaped = ({ key }: KeyboardEvent) => {
      if (key !== "Escape") return;
      if (inside.current?.contains(document.activeElement)) {
        inside.current.querySelector("button")?.focus();
      }
      close();
    };
    document.addEventListener("pointerdown", left);
    document.addEventListener("focusin", left);
    document.addEventListener("keydown", escaped);
    return () => {
      document.removeEventListener("pointerdown", left);
      document.removeEventListener("focusin", left);
      document.removeEventListener("keydown", escaped);
    };
  }, [inside, close]);
}
