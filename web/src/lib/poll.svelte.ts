// Asks again and again while the page is visible, and never twice at once.

/** Calls `ask` now and `period_ms` after each answer, as long as the component lives. Waits while the tab is hidden. */
export function poll(period_ms: number, ask: (signal: AbortSignal) => Promise<void>) {
  $effect(() => {
    const stop = new AbortController();
    let timer = 0;
    let asking = false;
    const round = async () => {
      if (asking) return;
      asking = true;
      if (!document.hidden) await ask(stop.signal).catch(() => undefined);
      asking = false;
      if (!stop.signal.aborted) timer = window.setTimeout(round, period_ms);
    };
    const wake = () => {
      if (document.hidden) return;
      window.clearTimeout(timer);
      void round();
    };
    document.addEventListener('visibilitychange', wake);
    void round();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
      document.removeEventListener('visibilitychange', wake);
    };
  });
}
