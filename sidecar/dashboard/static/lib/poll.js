// Repeats work while the page is visible.

/**
 * Runs `work` now and every `seconds` while the page is visible, never twice at a time.
 * Returns a function that stops it; its `soon` runs the work at once.
 */
export function poll(work, seconds) {
  let timer = null;
  let running = false;
  let stopped = false;

  const run = async () => {
    clearTimeout(timer);
    if (running || stopped) return;
    running = true;
    try {
      await work();
    } finally {
      running = false;
      if (!stopped && !document.hidden) timer = setTimeout(run, seconds * 1000);
    }
  };
  const onVisible = () => (document.hidden ? clearTimeout(timer) : run());

  document.addEventListener("visibilitychange", onVisible);
  run();
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisible);
  };
  stop.soon = run;
  return stop;
}
