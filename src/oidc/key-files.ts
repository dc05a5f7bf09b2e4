import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { type Algorithm, algorithms } from '../directory/key-settings.ts'
import type { Kms } from '../platform/kms.ts'
import { KmsTrouble } from '../platform/kms-trouble.ts'
import type { KeyRecord } from './keys.ts'
import { findKmsKey, readKmsLines } from './kms-keys.ts'
import { keyHere, type SigningKey, type SigningKeys, thumbprint } from './signing-keys.ts'

/** For so long files are not read again. */
const keptSeconds = 300

/** Whether a workspace has its keys as files: in a folder of its slug. */
export const hasFiles = async ({ keysDir }: Pick<Config, 'keysDir'>, slug: string): Promise<boolean> =>
  keysDir !== undefined && /^[a-z0-9-]+$/.test(slug) && (await isFolder(join(keysDir, slug)))

/** The names of the folders that there are, which are the slugs of such workspaces. */
export const listFolders = async (config: Pick<Config, 'keysDir'>): Promise<string[]> => {
  const names = config.keysDir === undefined ? [] : await readdir(config.keysDir)
  const folders = await Promise.all(names.map((name) => hasFiles(config, name)))
  return names.filter((_name, index) => folders[index])
}

/** Where the folders are, and who signs by the keys that a file only names. */
export interface KeyFolders {
  keysDir: string
  kms: Kms
}

/**
 * Reads the keys of a workspace. Of each algorithm the first one signs, in the order of the names of the files; the
 * others are published. Throws for a file that is no private key that we sign by, without an RS256 key, and a
 * `KmsTrouble` for a key in AWS KMS that cannot be used.
 */
export const loadFiles = async (folders: KeyFolders, slug: string, at: Date): Promise<SigningKeys> => {
  const folder = join(folders.keysDir, slug)
  const keys = (await readFiles(folders, folder)).map(({ key }) => key)
  if (!keys.some(({ alg }) => alg === 'RS256')) throw new Error(`${folder} has no RS256 key`)
  return { keys, changesAt: new Date(at.getTime() + keptSeconds * 1000) }
}

/** The same keys as anyone may know them; a file's time stands for when its keys began. */
export const listFiles = async (folders: KeyFolders, slug: string): Promise<KeyRecord[]> => {
  const found = await readFiles(folders, join(folders.keysDir, slug))
  return found.map(({ key: { kid, alg }, changedAt }, index) => {
    const first = found.findIndex(({ key }) => key.alg === alg)
    const state = first === index ? 'signing' : 'published'
    const times = { signsFrom: changedAt, signsUntil: null, publishedUntil: null, createdAt: changedAt }
    return { id: kid, alg, state, ...times }
  })
}

/** Whether a folder names keys in AWS KMS. */
export const namesKmsKeys = async (keysDir: string, slug: string): Promise<boolean> =>
  (await readdir(join(keysDir, slug))).some((name) => name.endsWith('.kms'))

interface Found {
  key: SigningKey
  changedAt: Date
}

const readFiles = async (folders: KeyFolders, folder: string): Promise<Found[]> => {
  const names = (await readdir(folder)).filter((name) => /\.(pem|jwk|json|kms)$/.test(name)).toSorted()
  const found = await Promise.all(names.map((name) => readKeys(folders, join(folder, name))))
  return once(folder, found.flat())
}

// Two aliases may stand for one key for a while, as one changes over to what another published before.
const once = (folder: string, all: Found[]): Found[] => {
  const kids = all.map(({ key }) => key.kid)
  const again = all.filter(({ key }, index) => kids.indexOf(key.kid) < index)
  const twice = again.find(({ key }) => key.is === 'here')
  if (twice) throw new Error(`${folder} has the key ${twice.key.kid} twice`)
  return all.filter((one) => !again.includes(one))
}

const readKeys = async ({ kms }: KeyFolders, file: string): Promise<Found[]> => {
  const [text, { mtime }] = await Promise.all([readFile(file, 'utf8'), stat(file)])
  try {
    const keys = file.endsWith('.kms') ? await fromKms(kms, text) : [fromText(file, text)]
    return keys.map((key) => ({ key, changedAt: mtime }))
  } catch (cause) {
    if (cause instanceof KmsTrouble) throw new KmsTrouble(cause.is, `${file}: ${cause.message}`)
    throw new Error(`${file} is no key that can sign here`, { cause })
  }
}

const fromKms = (kms: Kms, text: string): Promise<SigningKey[]> =>
  Promise.all(readKmsLines(text).map((line) => findKmsKey(kms, line)))

/** An RSA key in a PEM file is for RS256, and for PS256 where the name of the file says so. */
const fromText = (file: string, text: string): SigningKey =>
  text.trimStart().startsWith('{') ? fromJwk(text) : fromPem(text, /ps256/i.test(file))

const fromJwk = (text: string): SigningKey => {
  const read = readJson(text) as JsonWebKey & { alg?: unknown; kid?: unknown }
  return described(createPrivateKey({ key: read, format: 'jwk' }), read)
}

// What JSON.parse throws has a part of the key in it.
const readJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('It is no JSON')
  }
}

const fromPem = (text: string, pss: boolean): SigningKey =>
  described(createPrivateKey(text), pss ? { alg: 'PS256' } : {})

const described = (key: KeyObject, { alg: said, kid }: { alg?: unknown; kid?: unknown }): SigningKey => {
  const jwk = key.export({ format: 'jwk' })
  const alg = algorithmOf(key, said)
  return keyHere({ ...jwk, kid: typeof kid === 'string' && kid ? kid : thumbprint(jwk, alg), alg, use: 'sig' })
}

const algorithmOf = (key: KeyObject, said: unknown): Algorithm => {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {}
  const able: Algorithm[] =
    key.asymmetricKeyType === 'rsa' && modulusLength >= 2048
      ? ['RS256', 'PS256']
      : key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1'
        ? ['ES256']
        : key.asymmetricKeyType === 'ed25519'
          ? ['EdDSA']
          : []
  const alg = said === undefined ? able[0] : algorithms.find((one) => one === said && able.includes(one))
  if (!alg) throw new Error('RSA of 2,048 bits and more, P-256 and Ed25519 sign')
  return alg
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
