/**
 * Takes secrets out of a text in every form in which git, curl or a proxy prints them: as they are, URL-encoded, in
 * Base64 wherever in the encoded bytes they begin, and cut off at the end of the text.
 */
export function scrub(text: string, secrets: readonly string[]): string {
  const forms = secrets.filter((secret) => secret !== '').flatMap(spellings);
  const whole = forms.reduce((rest, form) => rest.replaceAll(form, '[secret]'), text);
  return forms.reduce(withoutCutTail, whole);
}

/** Longest first, so that a form is not left over around a shorter one within it. */
function spellings(secret: string): string[] {
  const encoded = [0, 1, 2].flatMap((offset) => [base64Core(secret, offset, 'base64'), base64Core(secret, offset, 'base64url')]);
  const all = [secret, encodeURIComponent(secret), ...encoded].filter((form) => form.length >= 8);
  return [...new Set(all)].sort((a, b) => b.length - a.length);
}

/** The characters of a Base64 text that depend on the secret alone, when `offset` other bytes (mod 3) stand before it. */
function base64Core(secret: string, offset: number, encoding: 'base64' | 'base64url'): string {
  const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)]);
  const text = bytes.toString(encoding).replace(/=+$/, '');
  const first = offset === 0 ? 0 : offset + 1;
  return text.slice(first, Math.floor((bytes.length * 8) / 6));
}

/** What is left of a secret when the text was cut within it. */
function withoutCutTail(text: string, form: string): string {
  for (let length = Math.min(form.length - 1, text.length); length >= 8; length--) {
    if (text.endsWith(form.slice(0, length))) return `${text.slice(0, -length)}[secret]`;
  }
  return text;
}
