/**
 * Numbers of four or more digits that belong to computing, mathematics or physics and not to a task: seconds of a day, polynomials of
 * checksums, hash seeds, usual ports, unit conversions. A program needs them, so they are no proof of a leak; the gate warns of them.
 */
const KNOWN = new Set(
  [
    [1440, 3600, 86_399, 86_400, 604_800, 31_536_000, 31_557_600],
    [0x1021, 0x8005, 0x8408, 0xa001, 0x3d65, 0xedb88320, 0x04c11db7, 0x1edc6f41, 0x82f63b78, 65_521],
    [5381, 16_777_619, 2_166_136_261, 1_099_511_628_211],
    [3306, 5432, 6379, 8080, 8443, 8888, 9200, 27_017],
    [0.4536, 0.3048, 1.609, 1.6093, 1.609344, 2.2046, 3.2808, 9.80665, 273.15, 459.67, 6371, 101_325, 299_792_458, 8.314],
    [6.02214076e23, 1.380649e-23, 6.62607015e-34, 1.602176634e-19],
  ].flat(),
);
/** Constants that are written with as many digits as somebody likes. */
const IRRATIONAL = [Math.PI, 2 * Math.PI, Math.E, Math.SQRT2, Math.SQRT1_2, Math.LN2, Math.LN10, (1 + Math.sqrt(5)) / 2, Math.sqrt(3)];
const HIGHEST_POWER_OF_TWO = 64n;

/** Whether a number, `mantissa` times ten to the `exponent` and without a sign, is one of these, or a power of two, give or take one. */
export function isKnownConstant(mantissa: string, exponent: number): boolean {
  const value = Number(`${mantissa}e${exponent}`);
  if (KNOWN.has(value)) return true;
  if (
    IRRATIONAL.some((constant) =>
      [constant.toPrecision(mantissa.length), cut(constant, mantissa.length)].some((text) => Number(text) === value),
    )
  )
    return true;
  if (exponent < 0 || exponent > 20) return false;
  const whole = BigInt(mantissa) * 10n ** BigInt(exponent);
  for (let power = 10n; power <= HIGHEST_POWER_OF_TWO; power += 1n) {
    const distance = whole - 2n ** power;
    if (distance >= -1n && distance <= 1n) return true;
  }
  return false;
}

const cut = (value: number, digits: number): string => value.toFixed(17).slice(0, digits + 1);
