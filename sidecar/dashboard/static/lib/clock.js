// The sidecar's time, also where the reader's clock is wrong: each answer tells it to the second.

const TOLERANCE_MS = 5_000;
let offset = 0;

/** Milliseconds since 1970 by the sidecar's clock. */
export const now = () => Date.now() + offset;

/** Takes the time from the Date header of an answer. */
export function follow(date) {
  const difference = Date.parse(date) - Date.now();
  if (Number.isNaN(difference)) return;
  offset = Math.abs(difference) < TOLERANCE_MS ? 0 : difference;
}
