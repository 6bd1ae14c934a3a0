/** Markdown as GitHub shows it, from text that nobody trusts: raw HTML is shown as text, but for a few harmless tags. */
import { raw } from 'hono/html';
import { Marked, type Tokens } from 'marked';

const escaped = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');

/** Tags that GitHub lets through and that can do nothing, without attributes. */
const HARMLESS = /^<\/?(details|summary|br|sub|sup|kbd|del|ins)\s*\/?>$|^<details open>$/i;

function rawHtml(text: string): string {
  return text
    .replace(/<!--[\s\S]*?(-->|$)/g, '')
    .split(/(<[^<>]*>)/)
    .map((part) => (HARMLESS.test(part) ? part : escaped(part)))
    .join('');
}

function safeTarget(href: string): string | null {
  return /^(https?:\/\/|mailto:|\/|#)/i.test(href) ? href : null;
}

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }: Tokens.HTML | Tokens.Tag) => rawHtml(text),
    link({ href, tokens }: Tokens.Link) {
      const text = this.parser.parseInline(tokens);
      const target = safeTarget(href);
      return target === null ? text : `<a href="${escaped(target)}" rel="nofollow noreferrer">${text}</a>`;
    },
    // Nothing is fetched from elsewhere to show a page.
    image: ({ href, text }: Tokens.Image) => `<span class="dim">[image: ${escaped(text || href)}]</span>`,
  },
});

/** Safe HTML of Markdown text. */
export function markdown(text: string | null) {
  return raw(marked.parse(text ?? '', { async: false }));
}
