import { createHash, createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { type Algorithm, algorithms } from '../directory/key-settings.ts'
import { type KeyRecord, publicPart, type SigningKeys } from './keys.ts'

/** For so long files are not read again. */
const keptSeconds = 300

/** Whether a workspace has its keys as files: in a folder of its slug. */
export const hasFiles = async ({ keysDir }: Pick<Config, 'keysDir'>, slug: string): Promise<boolean> =>
  keysDir !== undefined && /^[a-z0-9-]+$/.test(slug) && (await isFolder(join(keysDir, slug)))

/** The names of the folders that there are, which are the slugs of such workspaces. */
export const listFolders = async ({ keysDir }: Pick<Config, 'keysDir'>): Promise<string[]> =>
  keysDir === undefined ? [] : readdir(keysDir)

/**
 * Reads the keys of a workspace. Of each algorithm the first one signs, in the order of the names of the files; the
 * others are published. Throws for a file that is no private key that we sign by, and without an RS256 key.
 */
export const loadFiles = async (keysDir: string, slug: string, at: Date): Promise<SigningKeys> => {
  const keys = (await readFiles(join(keysDir, slug))).map(({ jwk }) => jwk)
  if (!keys.some(({ alg }) => alg === 'RS256')) throw new Error(`${join(keysDir, slug)} has no RS256 key`)
  return { jwks: { keys }, changesAt: new Date(at.getTime() + keptSeconds * 1000) }
}

/** The same keys as anyone may know them; a file's time stands for when its key began. */
export const listFiles = async (keysDir: string, slug: string): Promise<KeyRecord[]> => {
  const files = await readFiles(join(keysDir, slug))
  return files.map(({ jwk, changedAt }, index) => {
    const first = files.findIndex((one) => one.jwk.alg === jwk.alg)
    const state = first === index ? 'signing' : 'published'
    const times = { signsFrom: changedAt, signsUntil: null, publishedUntil: null, createdAt: changedAt }
    return { id: String(jwk.kid), alg: jwk.alg, state, ...times }
  })
}

type FileKey = JsonWebKey & { kid: string; alg: Algorithm }

const readFiles = async (folder: string): Promise<{ jwk: FileKey; changedAt: Date }[]> => {
  const names = (await readdir(folder)).filter((name) => /\.(pem|jwk|json)$/.test(name)).toSorted()
  const found = await Promise.all(names.map((name) => readKeys(join(folder, name))))
  const all = found.flat()
  const twice = all.find(({ jwk }, index) => all.findIndex((one) => one.jwk.kid === jwk.kid) < index)
  if (twice) throw new Error(`${folder} has the key ${twice.jwk.kid} twice`)
  return all
}

/** An RSA key in a PEM file is for RS256, and for PS256 where the name of the file says so. */
const readKeys = async (file: string): Promise<{ jwk: FileKey; changedAt: Date }[]> => {
  const [text, { mtime }] = await Promise.all([readFile(file, 'utf8'), stat(file)])
  try {
    const jwk = text.trimStart().startsWith('{') ? fromJwk(text) : fromPem(text, /ps256/i.test(file))
    return [{ jwk, changedAt: mtime }]
  } catch (cause) {
    throw new Error(`${file} is no key that can sign here`, { cause })
  }
}

const fromJwk = (text: string): FileKey => {
  const read = JSON.parse(text) as JsonWebKey & { alg?: unknown; kid?: unknown }
  return described(createPrivateKey({ key: read, format: 'jwk' }), read)
}

const fromPem = (text: string, pss: boolean): FileKey => described(createPrivateKey(text), pss ? { alg: 'PS256' } : {})

const described = (key: KeyObject, { alg: said, kid }: { alg?: unknown; kid?: unknown }): FileKey => {
  const jwk = key.export({ format: 'jwk' })
  const alg = algorithmOf(key, said)
  return { ...jwk, kid: typeof kid === 'string' && kid ? kid : thumbprint(jwk, alg), alg, use: 'sig' }
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

const thumbprint = (jwk: JsonWebKey, alg: Algorithm): string =>
  createHash('sha256')
    .update(JSON.stringify({ ...publicPart(jwk), alg }))
    .digest('base64url')
    .slice(0, 16)

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
