/** Characters that a reader does not see and a model does. */

/** Reading joiners of scripts that are spelled with them (Persian, Hindi, Sinhala …). */
const JOINING_SCRIPT =
  /[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}]/u;
const PICTOGRAPH = /\p{Extended_Pictographic}/u;
const EMOJI = /\p{Emoji}/u;
const EMOJI_TAIL = /\p{Extended_Pictographic}|\p{Emoji_Modifier}|\u{FE0F}/u;
const HAN = /\p{Script=Han}/u;

export type InvisibleKind = 'zeroWidth' | 'bidi' | 'tags' | 'controls';

const within = (code: number, ranges: readonly (readonly [number, number])[]): boolean =>
  ranges.some(([from, to]) => code >= from && code <= to);

const BIDI: readonly (readonly [number, number])[] = [
  [0x061c, 0x061c],
  [0x200e, 0x200f],
  [0x202a, 0x202e],
  [0x2066, 0x2069],
];
const TAGS: readonly (readonly [number, number])[] = [[0xe0000, 0xe007f]];
const ZERO_WIDTH: readonly (readonly [number, number])[] = [
  [0x00ad, 0x00ad], // soft hyphen
  [0x034f, 0x034f], // combining grapheme joiner
  [0x115f, 0x1160], // Hangul fillers
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200d],
  [0x2028, 0x2029],
  [0x2060, 0x2065],
  [0x206a, 0x206f],
  [0x2800, 0x2800], // braille blank
  [0x3164, 0x3164],
  [0xfe00, 0xfe0f], // variation selectors: bytes can be written with them
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff0, 0xfffb],
  [0x1bca0, 0x1bca3],
  [0x1d173, 0x1d17a],
  [0xe0080, 0xe0fff],
];
/** C0 and C1 but tab and line feed: terminals act on them. */
const CONTROLS: readonly (readonly [number, number])[] = [
  [0x00, 0x08],
  [0x0b, 0x1f],
  [0x7f, 0x9f],
];

/** What kind of invisible character a code point is by itself, whatever stands around it; null for a visible one. */
export function invisibleKind(code: number): InvisibleKind | null {
  if (code >= 0x20 && code < 0x7f) return null;
  if (within(code, BIDI)) return 'bidi';
  if (within(code, TAGS)) return 'tags';
  if (within(code, ZERO_WIDTH)) return 'zeroWidth';
  return within(code, CONTROLS) ? 'controls' : null;
}

/** Whether an invisible character is part of how the text around it is spelled: an emoji sequence, a joiner, a variant. */
function spelled(code: number, before: string, after: string): boolean {
  if (code === 0x200d && EMOJI_TAIL.test(before) && PICTOGRAPH.test(after)) return true;
  if (code === 0x200c || code === 0x200d) return JOINING_SCRIPT.test(before) && JOINING_SCRIPT.test(after);
  if (code === 0xfe0e || code === 0xfe0f) return EMOJI.test(before);
  return code >= 0xe0100 && code <= 0xe01ef && HAN.test(before);
}

/** The text without invisible characters, and how many runs of each kind were taken out. Line ends become `\n`. */
export function stripInvisible(text: string): { text: string; removed: Record<InvisibleKind, number> } {
  const removed = { zeroWidth: 0, bidi: 0, tags: 0, controls: 0 };
  const points = Array.from(text.toWellFormed().replaceAll('\r\n', '\n').replaceAll('\r', '\n'));
  const kept: string[] = [];
  let run: InvisibleKind | null = null;
  for (const [index, point] of points.entries()) {
    const code = point.codePointAt(0) ?? 0;
    const kind = invisibleKind(code);
    if (kind === null || spelled(code, kept.at(-1) ?? '', points[index + 1] ?? '')) {
      kept.push(point);
      run = null;
      continue;
    }
    if (run !== kind) removed[kind] += 1;
    run = kind;
  }
  return { text: kept.join(''), removed };
}
