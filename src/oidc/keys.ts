import { generateKeyPair, type JsonWebKey, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { Db } from '../db/connect.ts'
import * as audit from '../directory/audit.ts'
import { type Keyring, randomToken } from '../platform/secrets.ts'

const algorithms = ['RS256', 'ES256', 'EdDSA', 'PS256'] as const
type Algorithm = (typeof algorithms)[number]

/** For so long a new key is published before it signs, and an old one after it stopped: JWKS caches must learn. */
const overlapSeconds = 900
const longestTokenSeconds = 86_400

/** A workspace's keys as the engine takes them, those that sign now first; `changesAt` is when that order changes. */
export interface SigningKeys {
  jwks: { keys: JsonWebKey[] }
  changesAt: Date | undefined
}

/** Makes the first keys of a workspace, one an algorithm; they sign at once. */
export const generate = async (db: Db, keyring: Keyring, at: Date, workspaceId: string): Promise<void> =>
  insert(db, keyring, workspaceId, at)

/**
 * Makes new keys, publishes them now, and lets them sign once every client can know them. The old ones stay published
 * until the last token that they signed has expired.
 */
export const rotate = async (db: Db, keyring: Keyring, at: Date, workspaceId: string): Promise<void> => {
  const signsFrom = later(at, overlapSeconds)
  await db.transaction().execute(async (trx) => {
    await trx
      .updateTable('signingKeys')
      .set({ signsUntil: signsFrom, publishedUntil: later(signsFrom, longestTokenSeconds + overlapSeconds) })
      .where('workspaceId', '=', workspaceId)
      .where('signsUntil', 'is', null)
      .execute()
    await insert(trx, keyring, workspaceId, signsFrom)
    await audit.record(trx, at, { workspaceId }, { type: 'keys.rotated', data: { algorithms: [...algorithms] } })
  })
}

/** Reads and opens the keys that are published now. Throws where SECRETS no longer open them. */
export const load = async (db: Db, keyring: Keyring, at: Date, workspaceId: string): Promise<SigningKeys> => {
  const rows = await db
    .selectFrom('signingKeys')
    .selectAll()
    .where('workspaceId', '=', workspaceId)
    .where((eb) => eb.or([eb('publishedUntil', 'is', null), eb('publishedUntil', '>', at)]))
    .orderBy('signsFrom', 'desc')
    .execute()
  const signing = rows.filter(({ signsFrom }) => signsFrom <= at)
  const coming = rows.filter(({ signsFrom }) => signsFrom > at)
  const keys = [...signing, ...coming].map(({ id, privateSealed }) =>
    JSON.parse(keyring.open(privateSealed, contextOf(workspaceId, id))),
  )
  const changes = [
    ...coming.map(({ signsFrom }) => signsFrom),
    ...rows.flatMap(({ publishedUntil }) => publishedUntil ?? []),
  ]
  const changesAt = changes.toSorted((one, other) => one.getTime() - other.getTime())[0]
  return { jwks: { keys }, changesAt }
}

const insert = async (db: Db, keyring: Keyring, workspaceId: string, signsFrom: Date): Promise<void> => {
  const made = await Promise.all(algorithms.map(async (alg) => ({ alg, key: await privateKey[alg]() })))
  const rows = made.map(({ alg, key }) => {
    const id = randomToken(12)
    const jwk = { ...key.export({ format: 'jwk' }), kid: id, alg, use: 'sig' }
    return {
      workspaceId,
      id,
      alg,
      publicJwk: JSON.stringify(publicPart(jwk)),
      privateSealed: keyring.seal(JSON.stringify(jwk), contextOf(workspaceId, id)),
      signsFrom,
    }
  })
  await db.insertInto('signingKeys').values(rows).execute()
}

const generatePair = promisify(generateKeyPair)
const rsa = async (): Promise<KeyObject> => (await generatePair('rsa', { modulusLength: 2048 })).privateKey

const privateKey: Record<Algorithm, () => Promise<KeyObject>> = {
  RS256: rsa,
  PS256: rsa,
  ES256: async () => (await generatePair('ec', { namedCurve: 'P-256' })).privateKey,
  EdDSA: async () => (await generatePair('ed25519')).privateKey,
}

const publicPart = ({ kty, crv, x, y, n, e, kid, alg, use }: JsonWebKey) => ({ kty, crv, x, y, n, e, kid, alg, use })

const contextOf = (workspaceId: string, id: string) => `signing-key:${workspaceId}:${id}`

const later = (at: Date, seconds: number) => new Date(at.getTime() + seconds * 1000)
