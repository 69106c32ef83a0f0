/** HTTP as this page speaks it: JSON both ways, a bound on every wait, and refusals as errors. */

const REQUEST_TIMEOUT_MS = 15_000;
/** Tells the server that a request with our cookies was made by this page (OWASP, CSRF: custom request headers). */
const FROM_THE_PAGE = { "x-layercake": "page" };

/** The server answered with problem details (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    /** When to come again, if the server said so. */
    readonly retryAfter_s: number | null = null,
  ) {
    super(detail || title);
  }
}

/** No answer: the server is down, the network is, or it took longer than the time allowed. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";

  constructor(cause: unknown) {
    super("The server does not answer. Check that it is running, then try again.", { cause });
  }
}

export interface Init {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: unknown;
  signal?: AbortSignal;
  /** The token to come with instead of the cookies, such as a share link's. */
  token?: string;
}

/** Send one request and return what the answer says; raises ProblemError or UnreachableError. */
export async function send<T>(path: string, init: Init = {}): Promise<T> {
  const response = await answer(path, init);
  if (!response.ok) throw await problem(response);
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
}

async function answer(path: string, { method = "GET", body, signal, token }: Init) {
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const headers: Record<string, string> = { ...FROM_THE_PAGE };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    return await fetch(path, {
      method,
      headers,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      ...(token !== undefined && { credentials: "omit" as const }),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  } catch (cause) {
    throw new UnreachableError(cause);
  }
}

async function problem(response: Response): Promise<ProblemError> {
  const body = await response.json().catch(() => ({})); // a proxy's error page is not JSON
  const text = (key: string, otherwise: string) =>
    typeof body?.[key] === "string" ? (body[key] as string) : otherwise;
  return new ProblemError(
    response.status,
    text("code", "unknown"),
    text("title", `The server answered ${response.status}`),
    text("detail", ""),
    seconds(response.headers.get("retry-after")),
  );
}

function seconds(header: string | null): number | null {
  const parsed = Number.parseInt(header ?? "", 10);
  return Number.isNaN(parsed) ? null : parsed;
}
