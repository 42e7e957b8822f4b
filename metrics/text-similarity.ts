/** Smoothing that the paper adds to every word count before two texts are compared (arXiv 2605.09192). */
export const DIVERGENCE_SMOOTHING = 0.002;

/**
 * The words of a text in order: runs of letters, digits and underscores of the lower-cased text.
 * Letters of every script count; with ASCII word characters 8 of the 40 recorded snapshots come out differently.
 */
export const tokenList = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];

export const tokenSet = (text: string): Set<string> => new Set(tokenList(text));

const sharedCount = (a: ReadonlySet<string>, b: ReadonlySet<string>): number => {
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  let shared = 0;
  for (const item of small) if (large.has(item)) shared += 1;
  return shared;
};

/** Shared items over all items, 0 to 1. Two empty sets have nothing in common: 0. */
export const jaccard = (a: ReadonlySet<string>, b: ReadonlySet<string>): number => {
  const shared = sharedCount(a, b);
  const all = a.size + b.size - shared;
  return all === 0 ? 0 : shared / all;
};

/** The part of `part` that stands in `whole`, 0 to 1; 0 when `part` is empty. Not symmetric. */
export const containment = (part: ReadonlySet<string>, whole: ReadonlySet<string>): number =>
  part.size === 0 ? 0 : sharedCount(part, whole) / part.size;

const wordCounts = (text: string): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const word of tokenList(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
};

const totalOf = (counts: ReadonlyMap<string, number>): number => {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
};

/** Jensen-Shannon divergence in nats of two texts' smoothed word counts over `vocabularySize` words, the pair's own among them. */
const divergence = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>, vocabularySize: number): number => {
  const alpha = DIVERGENCE_SMOOTHING;
  const totalA = totalOf(a) + alpha * vocabularySize;
  const totalB = totalOf(b) + alpha * vocabularySize;
  const term = (countA: number, countB: number): number => {
    const p = (countA + alpha) / totalA;
    const q = (countB + alpha) / totalB;
    const middle = (p + q) / 2;
    return (p * Math.log(p / middle) + q * Math.log(q / middle)) / 2;
  };
  let sum = 0;
  let seen = 0;
  for (const [word, count] of a) {
    sum += term(count, b.get(word) ?? 0);
    seen += 1;
  }
  for (const [word, count] of b) {
    if (a.has(word)) continue;
    sum += term(0, count);
    seen += 1;
  }
  // Words of the vocabulary that neither text has all add the same term.
  return sum + (vocabularySize - seen) * term(0, 0);
};

const clampToUnit = (value: number): number => Math.min(1, Math.max(0, value));

const sizeOfUnion = (vocabulary: ReadonlySet<string>, a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number => {
  let size = vocabulary.size;
  for (const word of a.keys()) if (!vocabulary.has(word)) size += 1;
  for (const word of b.keys()) if (!vocabulary.has(word) && !a.has(word)) size += 1;
  return size;
};

/**
 * psi = 1 - JS of two texts' words, 0 (nothing alike) to 1 (the same frequencies): the paper's form, logarithm base 2.
 * `vocabulary` is that of the whole trajectory; words of the pair that it lacks are added. Two texts without words: 0.
 */
export const divergenceSimilarity = (a: string, b: string, vocabulary: ReadonlySet<string>): number => {
  const countsA = wordCounts(a);
  const countsB = wordCounts(b);
  if (countsA.size === 0 && countsB.size === 0) return 0;
  return clampToUnit(1 - divergence(countsA, countsB, sizeOfUnion(vocabulary, countsA, countsB)) / Math.LN2);
};

/**
 * psi as the public release computes it: natural logarithm and the union vocabulary of the pair, so its least value is
 * 1 - ln 2 (about 0.307), save 0 when that vocabulary has fewer than 2 words (even for two equal texts of one word).
 */
export const releaseDivergenceSimilarity = (a: string, b: string): number => {
  const countsA = wordCounts(a);
  const countsB = wordCounts(b);
  const size = sizeOfUnion(new Set(), countsA, countsB);
  return size < 2 ? 0 : clampToUnit(1 - divergence(countsA, countsB, size));
};
