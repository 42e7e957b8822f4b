/** A number as it stands in a text. */
export interface FoundNumber {
  /** Value without sign, separators, exponent and trailing zeros: 1e3, 1,000 and 1000.0 are the same. */
  value: string;
  /** As written. */
  text: string;
  /** Digits from the first to the last that is not zero. */
  significant: number;
  fractional: boolean;
  /** From 1. */
  line: number;
}

const HEX = "0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*";
const DECIMAL = String.raw`(?:\d+(?:_\d+)*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?`;
const GROUPED = String.raw`\d{1,3}(?:,\d{3})+(?:\.\d+)?`;
/** A number is no part of a name or a version (x1234, 1.2.3); up to three letters behind it are a unit (12.5kg). */
const NUMBER = new RegExp(String.raw`(?<![\w.])(?:(${HEX})|(${GROUPED})|(${DECIMAL}))(?!\.\d|[A-Za-z]{4}|[A-Za-z]{0,3}[\d_])`, "g");

/** Every number of the lines. `1,000` counts as one number and, since it may be a list, as its parts. */
export function numbersIn(lines: readonly string[]): FoundNumber[] {
  const found: FoundNumber[] = [];
  for (const [index, line] of lines.entries()) {
    for (const match of line.matchAll(NUMBER)) {
      const [text, hex, grouped] = match;
      const add = (digits: string, written: string): void => {
        const number = canonical(digits);
        if (number !== null) found.push({ ...number, text: written, line: index + 1 });
      };
      if (hex !== undefined) add(BigInt(hex.replaceAll("_", "")).toString(), text);
      else if (grouped !== undefined) {
        const list = /[[({,]\s*$/.test(line.slice(0, match.index)) || /^\s*[\])},]/.test(line.slice(match.index + text.length));
        if (!list) add(grouped.replaceAll(",", ""), text);
        for (const part of grouped.split(",")) add(part, part);
      } else add(text.replaceAll("_", ""), text);
    }
  }
  return found;
}

/** Every value that a reader of the lines could have taken from them: also digits inside names, versions and grouped numbers. */
export function visibleValues(lines: readonly string[]): Set<string> {
  const values = new Set(numbersIn(lines).map(({ value }) => value));
  for (const line of lines)
    for (const pattern of [/\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, /\d+/g, /\d{1,3}(?:,\d{3})+(?:\.\d+)?/g])
      for (const [text] of line.matchAll(pattern)) {
        const number = canonical(text.replaceAll(",", ""));
        if (number !== null) values.add(number.value);
      }
  return values;
}

/** Exact by arithmetic on digits: 0.1 and 0.10 are equal, no rounding. Null for zero and for exponents that nobody means. */
function canonical(text: string): Pick<FoundNumber, "value" | "significant" | "fractional"> | null {
  const match = /^(\d*)\.?(\d*)(?:[eE]([+-]?\d{1,4}))?$/.exec(text);
  if (match === null) return null;
  const [, whole = "", fraction = "", exponent = "0"] = match;
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  const mantissa = digits.replace(/0+$/, "");
  if (mantissa === "") return null;
  const scale = Number(exponent) - fraction.length + (digits.length - mantissa.length);
  return { value: `${mantissa}e${scale}`, significant: mantissa.length, fractional: scale < 0 };
}

/** Fewer digits are shared by chance. */
const MIN_ROUNDED_DIGITS = 5;
const MAX_ROUNDED_DIGITS = 15;

/** The value rounded to every smaller number of digits, five at least: a result is seldom quoted with all of its digits. */
export function roundingsOf({ value }: Pick<FoundNumber, "value">): string[] {
  const { mantissa, exponent } = partsOf(value);
  const rounded: string[] = [];
  for (let digits = MIN_ROUNDED_DIGITS; digits < Math.min(mantissa.length, MAX_ROUNDED_DIGITS + 1); digits += 1) {
    const up = (mantissa[digits] ?? "0") >= "5" ? 1n : 0n;
    const number = canonical(`${BigInt(mantissa.slice(0, digits)) + up}e${exponent + mantissa.length - digits}`);
    if (number !== null && number.significant >= MIN_ROUNDED_DIGITS) rounded.push(number.value);
  }
  return rounded;
}

/** A canonical value taken apart: `123e-2` is 123 and -2. */
export function partsOf(value: string): { mantissa: string; exponent: number } {
  const [mantissa = "", exponent = "0"] = value.split("e");
  return { mantissa, exponent: Number(exponent) };
}
