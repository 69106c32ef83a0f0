import { ago, onDay } from "../time";

export function Ago({ at }: { at: string }) {
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {ago(at, Date.now())}
    </time>
  );
}

/** Until when something lasts; null is for ever. */
export function Until({ at }: { at: string | null }) {
  if (at === null) return "no expiry";
  return (
    <>
      until{" "}
      <time dateTime={at} title={new Date(at).toLocaleString()}>
        {onDay(at)}
      </time>
    </>
  );
}
