/** What the server asks of a password. */
export const SHORTEST_PASSWORD = 12;
export const LONGEST_PASSWORD = 1024;

/** What is wrong with a new password typed twice, before anything is sent; null if nothing is. */
export function passwordFault(password: string, again: string): string | null {
  const length = [...password].length;
  if (length < SHORTEST_PASSWORD) {
    return `The password needs ${SHORTEST_PASSWORD} characters or more; this one has ${length}.`;
  }
  if (length > LONGEST_PASSWORD)
    return `The password has more than ${LONGEST_PASSWORD} characters.`;
  return password === again ? null : "The two passwords are not the same.";
}
