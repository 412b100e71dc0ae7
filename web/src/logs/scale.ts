// Round numbers for axes.

const TIME_STEPS = [1, 5, 10, 50, 100, 500, 1e3, 5e3, 15e3, 30e3, 6e4, 3e5, 6e5, 9e5, 18e5, 36e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5];

/** The smallest round step of time (ms) that is at least `at_least`. */
export function niceStep(at_least: number): number {
  return TIME_STEPS.find((step) => step >= at_least) ?? Math.ceil(at_least / 6048e5) * 6048e5;
}

/** The smallest of 1, 2, 3, 4, 5, 6, 8, 10, 20 ... that is at least `n`. */
export function topOf(n: number): number {
  const unit = 10 ** Math.floor(Math.log10(n));
  return ([1, 2, 3, 4, 5, 6, 8].find((factor) => factor * unit >= n) ?? 10) * unit;
}
