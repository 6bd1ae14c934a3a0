import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CoatcheckError } from '../errors.ts';
import { sha256 } from './canonical.ts';

/** The deployment's key for records. */
export interface SigningKey {
  /** SHA-256 in hex of the public key's SPKI (DER). */
  readonly id: string;
  /** The public key's SPKI (DER) in base64. */
  readonly publicKey: string;
  sign(bytes: Uint8Array): Buffer;
}

const PRIVATE_FILE = 'record-key.pem';
/** What an operator gives to those who verify: `coatcheck audit verify --key record-key.pub.pem FILE`. */
export const PUBLIC_FILE = 'record-key.pub.pem';

/** The key id of a public key: SHA-256 in hex of its SPKI (DER). */
export const keyId = (publicKey: KeyObject): string => sha256(publicKey.export({ type: 'spki', format: 'der' }));

/**
 * Opens the deployment's Ed25519 key in `directory`; makes it (mode 0600) at the first start. Of two processes that
 * start at once, one makes it and both use it.
 *
 * @throws CoatcheckError `key_exposed` when others than the owner may read it; `key_unreadable` when it is no Ed25519 key.
 */
export async function openKey(directory: string): Promise<SigningKey> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, PRIVATE_FILE);
  await makeOnce(file);
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) {
    throw new CoatcheckError(
      'key_exposed',
      `${file} may be read by others than its owner.`,
      `Run chmod 600 ${file}; if others may have read it, delete it and a new one is made.`,
    );
  }
  const privateKey = readPrivateKey(await readFile(file, 'utf8'), file);
  const publicKey = createPublicKey(privateKey);
  await writeFile(join(directory, PUBLIC_FILE), publicKey.export({ type: 'spki', format: 'pem' }), { mode: 0o644 });
  return {
    id: keyId(publicKey),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    sign: (bytes) => sign(null, bytes, privateKey),
  };
}

/** Written under another name and linked into place: nobody ever reads half a key, and an existing one stays. */
async function makeOnce(file: string): Promise<void> {
  const exists = await stat(file).then(
    () => true,
    () => false,
  );
  if (exists) return;
  const draft = `${file}.${process.pid}.new`;
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(draft, pem, { mode: 0o600, flag: 'w' });
  try {
    await link(draft, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

function readPrivateKey(pem: string, file: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (cause) {
    throw unreadable(file, cause);
  }
  throw unreadable(file, undefined);
}

const unreadable = (file: string, cause: unknown) =>
  new CoatcheckError(
    'key_unreadable',
    `${file} is not an Ed25519 private key in PEM form.`,
    'Put the key back from a backup, or delete the file and a new key is made (older records then need the older public key).',
    { cause },
  );
