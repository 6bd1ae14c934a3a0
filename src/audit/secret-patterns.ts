/** The longest secret that a pattern below can match, private key blocks aside, in UTF-16 units. */
export const LONGEST_TOKEN = 1200;
/** How many units before a secret a pattern may look at. */
export const LONGEST_LEAD = 256;
/** The longest private key block; more than an RSA key of 16384 bits takes. */
export const LONGEST_KEY_BLOCK = 14_000;

/**
 * Secrets that are known by their form. Each is written so that commit ids, digests, URLs, package names and code
 * do not match: a fixed prefix, then a length that only the secret has.
 */
export const SECRET_PATTERNS: Readonly<Record<string, RegExp>> = {
  // GitHub: 40 characters, or `ghs_APPID_JWT` of about 520 with two dots
  // (https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-an-installation-access-token-for-a-github-app).
  github_token: /(?<![A-Za-z0-9])gh[pousr]_(?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9_-]{10})){20,1100}/g,
  github_fine_grained: /(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{22,255}/g,
  anthropic: /(?<![A-Za-z0-9])sk-ant-[A-Za-z0-9_-]{16,300}/g,
  // A digit and a capital letter: `sk-learn-some-long-package-name` is none.
  openai: /(?<![A-Za-z0-9-])sk-(?=[A-Za-z0-9_-]{0,200}\d)(?=[A-Za-z0-9_-]{0,200}[A-Z])[A-Za-z0-9_-]{20,300}/g,
  aws_key_id: /(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])/g,
  aws_secret: /(?<=aws_?secret_?access_?key["']?\s{0,4}[=:]\s{0,4}["']?)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])/gi,
  google_key: /(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g,
  npm_token: /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])/g,
  slack_token: /(?<![A-Za-z0-9])xox[abprs]-[A-Za-z0-9-]{10,200}/g,
  jwt: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,300}\.eyJ[A-Za-z0-9_-]{10,500}\.[A-Za-z0-9_-]{10,390}/g,
  url_password: /(?<=:\/\/[^\s/:@]{0,200}:)[^\s/@:]{6,300}(?=@)/g,
  private_key: /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[A-Za-z0-9+/=\s\\]{40,13800}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?/g,
};
