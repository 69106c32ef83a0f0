/** By what right this tab opens a graph: anybody may, a session of ours, or a share link. */
export type Access = { by: "open" } | { by: "session" } | { by: "share"; token: string };

export function tokenOf(access: Access): string | undefined {
  return access.by === "share" ? access.token : undefined;
}
