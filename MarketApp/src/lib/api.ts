import type { paths } from "@api-schema";
import createClient, { type Client } from "openapi-fetch";

export type Api = Client<paths>;

const TIMEOUT_MS = 20_000;

/** An answer that is no success. `status` is 0 when there was no answer at all. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    /** Feature names the gateway does not know, and those it misses (HTTP 422). */
    readonly unknown: string[] = [],
    readonly missing: string[] = [],
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** Whether the same question may succeed later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export function createApi(apiBase: string): Api {
  return createClient<paths>({ baseUrl: apiBase, fetch: (request) => fetchInTime(request, apiBase) });
}

async function fetchInTime(request: Request, apiBase: string): Promise<Response> {
  const late = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(request, { signal: AbortSignal.any([request.signal, late]) });
  } catch (cause) {
    if (request.signal.aborted) throw cause;
    const what = late.aborted ? `did not answer in ${TIMEOUT_MS / 1000} s` : "does not answer";
    throw new ApiError(`The gateway at ${apiBase || "this address"} ${what}.`, 0);
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a success; anything else becomes an ApiError with the gateway's own words. */
export async function unwrap<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (data !== undefined) return data;
  throw toApiError(error, response.status);
}

export function toApiError(body: unknown, status: number): ApiError {
  const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  return new ApiError(
    describe(fields.detail) ?? `The gateway answered ${status}.`,
    status,
    names(fields.unknown),
    names(fields.missing),
  );
}

/** `detail` is a text, or FastAPI's list of {loc, msg}. */
function describe(detail: unknown): string | undefined {
  if (typeof detail === "string") return detail;
  if (!Array.isArray(detail)) return undefined;
  return detail
    .map((item: { loc?: unknown[]; msg?: string }) => `${(item.loc ?? []).slice(1).join(".")}: ${item.msg ?? "refused"}`)
    .join("; ");
}

function names(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
