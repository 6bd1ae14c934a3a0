import { splitFences } from './code-fences.ts';
import { type InvisibleKind, stripInvisible } from './code-points.ts';
import { type Counts, dropComments, dropDefinitions, dropEntities, dropImageTags, dropImageTexts } from './hidden-markup.ts';

export type HiddenCounts = Counts & Record<InvisibleKind, number>;

/**
 * Takes out of Markdown what a reader of the page on GitHub does not see and a model would read: HTML comments (unclosed
 * ones too), zero-width, bidirectional and tag characters, control characters, `<picture>`, alternative and title texts,
 * unused link definitions. Emoji sequences, joiners of scripts that need them and right-to-left text stay; so does markup
 * inside code blocks, where readers see it. `total` counts spans, not characters. In doubt more is removed, never less.
 */
export function stripHidden(source: string): { text: string; counts: HiddenCounts; total: number } {
  const { text: visible, removed } = stripInvisible(source);
  const counts: Counts = { htmlComments: 0, pictures: 0, imageTexts: 0, linkTitles: 0, entities: 0 };
  const text = splitFences(visible)
    .map((part) => (part.code ? part.text : stripProse(part.text, counts)))
    .join('');
  const all = { ...counts, ...removed };
  return { text, counts: all, total: Object.values(all).reduce((sum, count) => sum + count, 0) };
}

/** Until nothing changes: what is taken out may have kept the two halves of something else apart. */
function stripProse(prose: string, counts: Counts): string {
  let text = prose;
  for (let round = 0; round < 8; round++) {
    const before = text;
    for (const drop of [dropComments, dropImageTags, dropImageTexts, dropDefinitions, dropEntities]) text = drop(text, counts);
    if (text === before) return text;
  }
  // Nested deeper than anybody writes by accident: what could still open something hidden is made harmless.
  return text.replaceAll('<!', '').replaceAll('<?', '').replaceAll('![', '[');
}
