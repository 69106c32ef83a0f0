import { useState } from "react";
import { type Identity, keepIdentity, ownIdentity } from "./identity";

/** The own name and colour, and how to change the name. */
export function useIdentity(): [Identity, (name: string) => void] {
  const [own, setOwn] = useState(() => ownIdentity(localStorage, Math.random));
  const rename = (name: string) => {
    const renamed = { ...own, name };
    keepIdentity(localStorage, renamed);
    setOwn(renamed);
  };
  return [own, rename];
}
