// Dark or light: the system's preference until someone chooses. The choice is kept; public/theme.js applies it before the first paint.

const system = window.matchMedia('(prefers-color-scheme: dark)');

class Theme {
  #chosen = $state<string | undefined>(document.documentElement.dataset.theme);
  #systemDark = $state(system.matches);

  constructor() {
    system.addEventListener('change', () => (this.#systemDark = system.matches));
  }

  get dark(): boolean {
    return this.#chosen ? this.#chosen === 'dark' : this.#systemDark;
  }

  flip() {
    this.#chosen = this.dark ? 'light' : 'dark';
    document.documentElement.dataset.theme = this.#chosen;
    try {
      localStorage.setItem('weir.theme', this.#chosen);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  }
}

export const theme = new Theme();
