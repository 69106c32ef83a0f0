import { useCallback, useMemo, useState } from "react";
import { type Identity, keepIdentity, ownIdentity } from "./identity";

/** The own name and colour, and how to change the name. */
export function useIdentity(): [Identity, (name: string) => void] {
  const [own, setOwn] = useState(() => ownIdentity(localStorage, Math.random));
  const rename = useCallback(
    (name: string) => {
      const renamed = { ...own, name };
      keepIdentity(localStorage, renamed);
      setOwn(renamed);
    },
    [own],
  );
  return [own, rename];
}

/** As others see one who has a name by an account or a link; the colour is the browser's. */
export function useNamed(name: string): Identity {
  const [{ color }] = useIdentity();
  return useMemo(() => ({ name, color }), [name, color]);
}
