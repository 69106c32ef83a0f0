import { useState } from "react";
import { sentenceOf } from "../words";

export interface Action {
  busy: boolean;
  /** What to say of the last attempt, null while there is nothing. */
  error: string | null;
  /** Do it; returns whether it was done. */
  run: (act: () => Promise<unknown>) => Promise<boolean>;
}

/** Something a button does that takes a moment and can be refused. */
export function useAction(words: (error: Error) => string = sentenceOf): Action {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const run = async (act: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    try {
      await act();
      return true;
    } catch (reason) {
      setError(words(reason as Error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, run };
}
