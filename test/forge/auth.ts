/**
 * Who is asking: an app by its JSON Web Token, an installation by its token, a user by a personal token.
 *
 * JWT rules: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
 * (RS256, `iat` not in the future, `exp` at most ten minutes ahead, `iss` the client id or app id).
 */
import { verify } from 'node:crypto';
import { z } from 'zod';
import type { Actor, App } from './entities.ts';
import { ApiFailure, badCredentials } from './failure.ts';
import type { World } from './world.ts';

const MAX_JWT_SECONDS = 600;
/** GitHub tolerates a little drift of the caller's clock. */
const CLOCK_DRIFT_SECONDS = 60;

const Header = z.looseObject({ alg: z.string() });
const Claims = z.looseObject({ iss: z.union([z.string(), z.number()]), iat: z.unknown(), exp: z.unknown() });

/** The credential of an Authorization header: Bearer and token schemes, and Basic with the token as password. */
export function credentialOf(authorization: string | undefined): string | null {
  if (authorization === undefined) return null;
  const [scheme = '', value = ''] = authorization.split(/\s+/, 2);
  if (/^(bearer|token)$/i.test(scheme)) return value;
  if (!/^basic$/i.test(scheme)) return '';
  const [user = '', password = ''] = splitOnce(Buffer.from(value, 'base64').toString('utf8'));
  return password === '' || password === 'x-oauth-basic' ? user : password;
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf(':');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** @throws ApiFailure 401 for a credential that is not, or no longer, good. */
export function identify(world: World, authorization: string | undefined): Actor {
  const credential = credentialOf(authorization);
  if (credential === null) return { kind: 'anonymous' };
  const token = world.tokens.find((known) => known.token === credential);
  if (token) {
    if (token.revokedAt !== null || token.expiresAt <= world.now()) throw badCredentials();
    return { kind: 'installation', token };
  }
  const account = world.accounts.find((known) => known.token !== null && known.token === credential);
  if (account) return { kind: 'user', account };
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(credential)) return { kind: 'app', app: appOfJwt(world, credential) };
  throw badCredentials();
}

function parsePart<T>(part: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(part, 'base64url').toString('utf8')));
  } catch {
    throw undecodable();
  }
}

const undecodable = () => new ApiFailure(401, 'A JSON web token could not be decoded');

function appOfJwt(world: World, jwt: string): App {
  const [head = '', body = '', signature = ''] = jwt.split('.');
  if (parsePart(head, Header).alg !== 'RS256') throw undecodable();
  const claims = parsePart(body, Claims);
  const issuer = String(claims.iss);
  const app = world.apps.find((known) => String(known.id) === issuer || known.clientId === issuer);
  if (!app) throw new ApiFailure(404, 'Integration not found');
  if (!verify('RSA-SHA256', Buffer.from(`${head}.${body}`), app.publicKey, Buffer.from(signature, 'base64url')))
    throw undecodable();
  checkTimes(claims.iat, claims.exp, world.now() / 1000);
  return app;
}

function checkTimes(iat: unknown, exp: unknown, now: number): void {
  if (typeof exp !== 'number' || !Number.isInteger(exp) || exp <= now) {
    throw new ApiFailure(
      401,
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    );
  }
  if (exp > now + MAX_JWT_SECONDS + CLOCK_DRIFT_SECONDS) {
    throw new ApiFailure(401, "'Expiration time' claim ('exp') is too far in the future");
  }
  if (typeof iat !== 'number' || iat > now + CLOCK_DRIFT_SECONDS) {
    throw new ApiFailure(401, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued");
  }
}
