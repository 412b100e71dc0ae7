// Which page is shown, and the state kept in the address so that a link shares it. One level of paths, history routing.

/** The folder the page is served from, ending in `/`: right under a sub-path too, because bundles lie in `assets/` below it. */
const self = import.meta.url;
export const root = import.meta.env.DEV ? new URL('/', self).href : new URL('..', self).href;

class Route {
  page = $state('');
  params = $state.raw(new URLSearchParams());

  constructor() {
    this.read();
    window.addEventListener('popstate', () => this.read());
  }

  private read() {
    const path = window.location.pathname;
    const base = new URL(root).pathname;
    this.page = (path.startsWith(base) ? path.slice(base.length) : '').replace(/\/+$/, '');
    this.params = new URLSearchParams(window.location.search);
  }

  /** Opens a page; a step back returns here. */
  open(page: string, params: Record<string, string> = {}) {
    history.pushState(null, '', this.href(page, new URLSearchParams(params)));
    this.read();
    window.scrollTo(0, 0);
  }

  /** Changes the address of the page shown. Null removes a key. `step` makes it a step that "back" undoes. */
  change(patch: Record<string, string | null>, step = false) {
    const params = new URLSearchParams(this.params);
    for (const [key, value] of Object.entries(patch)) {
      if (value === null || value === '') params.delete(key);
      else params.set(key, value);
    }
    if (params.toString() === this.params.toString()) return;
    const href = this.href(this.page, params);
    if (step) history.pushState(null, '', href);
    else history.replaceState(null, '', href);
    this.params = params;
  }

  href(page: string, params = new URLSearchParams()): string {
    return new URL(page, root).pathname + (params.size ? `?${params}` : '');
  }
}

export const route = new Route();
