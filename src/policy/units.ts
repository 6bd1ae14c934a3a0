import { z } from 'zod';

const SIZES: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const TIMES: Readonly<Record<string, number>> = { s: 1000, min: 60_000, h: 3_600_000, days: 86_400_000 };

function measure(units: Readonly<Record<string, number>>, example: string) {
  const names = Object.keys(units).join('|');
  const shape = new RegExp(`^(\\d{1,9}) ?(${names})$`);
  return z
    .string()
    .regex(shape, `write a whole number and a unit (${names.replaceAll('|', ', ')}), for example ${example}`)
    .transform((text) => {
      const [, number = '', unit = ''] = shape.exec(text) ?? [];
      return Number(number) * (units[unit] ?? 1);
    })
    .refine((value) => value > 0 && Number.isSafeInteger(value), 'must be more than zero');
}

/** "512 MiB" → bytes. */
export const ByteSize = measure(SIZES, '"512 MiB"');
/** "10 min" → milliseconds. */
export const Duration = measure(TIMES, '"10 min"');
