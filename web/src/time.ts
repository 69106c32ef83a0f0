const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** Say how long ago `iso` was, in the largest unit that fits; under a minute is "just now". */
export function ago(iso: string, nowMs: number): string {
  const passed_s = (nowMs - Date.parse(iso)) / 1000;
  const step = STEPS.find(([, length_s]) => passed_s >= length_s);
  return step ? words.format(-Math.floor(passed_s / step[1]), step[0]) : "just now";
}

const days = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });

/** Say on which day `iso` is, here. */
export function onDay(iso: string): string {
  return days.format(Date.parse(iso));
}
