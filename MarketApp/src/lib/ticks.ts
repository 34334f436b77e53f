/**
 * Round numbers that cover [low, high], at most `count` + 1 of them, evenly spaced by 1, 2 or 5 times a power of ten.
 * An empty span is widened, so there are always two.
 */
export function ticks(low: number, high: number, count = 4): number[] {
  if (!(high > low)) return ticks(low - (Math.abs(low) || 1) / 2, low + (Math.abs(low) || 1) / 2, count);
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}
