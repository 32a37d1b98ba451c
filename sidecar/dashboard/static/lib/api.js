// Calls the sidecar's JSON API. Knows whether the sidecar can be reached and whether the key is still valid.

import { follow } from "./clock.js";

const TIMEOUT_MS = 15_000;

/** For calls that ask Microsoft. */
export const LONG_MS = 60_000;

/** The state of the connection, for the frame: `failedAt` is when calls began to fail, `unauthorized` a refused key. */
export const connection = { failedAt: null, unauthorized: false };

/** An answer that is no success. `problem` is its RFC 9457 body, as far as there is one. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
  }

  /** What to do about it, where the answer says so. */
  get fix() {
    return this.problem.fix ?? null;
  }

  /** Each problem found, as one line. */
  get lines() {
    return (this.problem.errors ?? []).map((error) => (error.field ? `${error.field}: ${error.message}` : error.message));
  }
}

/** GETs `path` with the parameters that have a value. */
export function get(path, params = {}, timeout = TIMEOUT_MS) {
  return call("GET", withQuery(path, params), undefined, null, timeout);
}

/** POSTs `body` as JSON. Pass the same `key` again when an answer was lost: it is the Idempotency-Key. */
export function post(path, body = {}, key = null, timeout = TIMEOUT_MS) {
  return call("POST", path, body, key, timeout);
}

/** DELETEs what is at `path`. */
export function remove(path) {
  return call("DELETE", path, undefined, null, TIMEOUT_MS);
}

/** The path with the parameters that have a value. */
export function withQuery(path, params) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value != null && value !== ""));
  return query.size ? `${path}?${query}` : path;
}

async function call(method, path, body, key, timeout) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(timeout),
    });
  } catch (error) {
    connection.failedAt ??= new Date();
    throw new ApiError(0, { title: "The sidecar did not answer", detail: "The sidecar did not answer." });
  }
  follow(response.headers.get("Date"));
  connection.failedAt = null;
  connection.unauthorized = response.status === 401;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok && response.status !== 207 && !isHealth(path, answer)) throw new ApiError(response.status, answer);
  return answer;
}

/** /healthz answers 503 with a page of its own when the sidecar is down. */
function isHealth(path, answer) {
  return path.startsWith("healthz") && "checks" in answer;
}
