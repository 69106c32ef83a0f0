import { renew } from "../session/renewal";
import { sessionEnded } from "../session/who";
import { type Init, ProblemError, send } from "./send";

/**
 * Send a request as who is signed in. When the session has run out it is renewed once and the request sent
 * again; when that is refused too, everybody who follows `who` hears that the session ended.
 */
export async function request<T>(path: string, init: Init = {}): Promise<T> {
  if (init.token !== undefined) return send(path, init); // no session stands behind it
  try {
    return await send(path, init);
  } catch (error) {
    if (!isUnauthenticated(error)) throw error;
    return await again(path, init);
  }
}

async function again<T>(path: string, init: Init): Promise<T> {
  try {
    await renew();
    return await send(path, init);
  } catch (error) {
    if (isUnauthenticated(error)) sessionEnded();
    throw error;
  }
}

function isUnauthenticated(error: unknown): boolean {
  return error instanceof ProblemError && error.status === 401;
}
