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

  /** Follows plain clicks on links to our own pages without loading the page anew. For the document's click event. */
  follow(event: MouseEvent) {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (!link || !plain || link.target || link.hasAttribute('download') || !link.href.startsWith(root) || link.getAttribute('href')?.startsWith('#')) return;
    event.preventDefault();
    if (link.href === window.location.href) return;
    history.pushState(null, '', link.href);
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

  href(page: string, values: URLSearchParams | Record<string, string> = {}): string {
    const params = new URLSearchParams(values);
    return new URL(page, root).pathname + (params.size ? `?${params}` : '');
  }
}

export const route = new Route();
