import { useCallback, useEffect, useState } from "react";

export type Loaded<T> =
  | { state: "loading" }
  | { state: "failed"; error: Error }
  | { state: "ready"; value: T };

/** Load once per `load` (memoise it), and again on `reload`; an outdated answer is dropped. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>): [Loaded<T>, () => void] {
  const [loaded, setLoaded] = useState<Loaded<T>>({ state: "loading" });
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt is the reason to run
  useEffect(() => {
    const abort = new AbortController();
    const settle = (next: Loaded<T>) => {
      if (!abort.signal.aborted) setLoaded(next);
    };
    load(abort.signal).then(
      (value) => settle({ state: "ready", value }),
      (error: Error) => settle({ state: "failed", error }),
    );
    return () => abort.abort();
  }, [load, attempt]);
  const reload = useCallback(() => setAttempt((n) => n + 1), []);
  return [loaded, reload];
}
