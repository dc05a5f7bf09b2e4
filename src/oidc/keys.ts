import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import * as audit from '../directory/audit.ts'
import { type Algorithm, algorithms, keySettings } from '../directory/key-settings.ts'
import { Problem } from '../platform/problem.ts'
import { type Keyring, randomToken } from '../platform/secrets.ts'
import { keyHere, publicPart, type SigningKey, type SigningKeys } from './signing-keys.ts'

/** For so long a new key is published before it signs, and an old one after it stopped: JWKS caches must learn. */
const overlapSeconds = 900
const longestTokenSeconds = 86_400

/** Until when a key stays published that signs no more from a time on: the last token that it signed has ended then. */
const publishedAfter = (signsUntil: Date): Date => later(signsUntil, longestTokenSeconds + overlapSeconds)

/** Makes the first keys of a workspace, one an algorithm; they sign at once. */
export const generate = async (
  db: Db,
  keyring: Keyring,
  at: Date,
  workspaceId: string,
  among: readonly Algorithm[] = algorithms,
): Promise<void> => insert(db, keyring, workspaceId, at, among)

/**
 * Makes new keys, publishes them now, and lets them sign once every client can know them. The old ones stay published
 * until the last token that they signed has expired. Of every algorithm that it has a key for unless told.
 */
export const rotate = (
  db: Db,
  keyring: Keyring,
  at: Date,
  workspaceId: string,
  by: audit.By = audit.system,
  among: readonly Algorithm[] = algorithms,
): Promise<void> =>
  db.transaction().execute(async (trx) => {
    // One rotation after the other: two at once would both leave keys that never end.
    await lock(trx, workspaceId)
    const kept = await listUnending(trx, workspaceId)
    await replace(
      trx,
      { keyring, at, workspaceId, by },
      among.filter((alg) => kept.includes(alg)),
    )
  })

/** Holds a workspace while its keys change. In a transaction. */
export const lock = async (trx: Db, workspaceId: string): Promise<void> => {
  await trx.selectFrom('workspaces').select('id').where('id', '=', workspaceId).forUpdate().execute()
}

/** The algorithms of the keys that nothing ends yet. */
export const listUnending = async (db: Db, workspaceId: string): Promise<Algorithm[]> => {
  const rows = await db
    .selectFrom('signingKeys')
    .select('alg')
    .distinct()
    .where('workspaceId', '=', workspaceId)
    .where('signsUntil', 'is', null)
    .execute()
  return rows.map(({ alg }) => alg)
}

/** Whose keys change, when and by whom. */
export interface Change {
  keyring: Keyring
  at: Date
  workspaceId: string
  by: audit.By
}

/** What `rotate` does, for whoever holds the lock. In a transaction. */
export const replace = async (trx: Db, change: Change, among: readonly Algorithm[]): Promise<void> => {
  const { keyring, at, workspaceId, by } = change
  if (among.length === 0) return
  const signsFrom = later(at, overlapSeconds)
  await end(trx, workspaceId, signsFrom, among)
  await insert(trx, keyring, workspaceId, signsFrom, among)
  await audit.record(trx, at, { workspaceId }, { type: 'keys.rotated', data: { by, algorithms: [...among] } })
}

/** Lets the keys that nothing ends yet sign until a time, and stay published for what they signed. */
export const end = async (
  trx: Db,
  workspaceId: string,
  signsUntil: Date,
  among: readonly Algorithm[],
): Promise<void> => {
  if (among.length === 0) return
  await trx
    .updateTable('signingKeys')
    .set({ signsUntil, publishedUntil: publishedAfter(signsUntil) })
    .where('workspaceId', '=', workspaceId)
    .where('signsUntil', 'is', null)
    .where('alg', 'in', among)
    .execute()
}

/** A key as anyone may know it; what it does follows from its times. */
export interface KeyRecord {
  id: string
  alg: Algorithm
  state: 'coming' | 'signing' | 'published' | 'withdrawn'
  signsFrom: Date
  signsUntil: Date | null
  publishedUntil: Date | null
  createdAt: Date
}

/** A workspace's keys without their private parts, the newest first, from the one after `after`. */
export const list = async (
  db: Db,
  at: Date,
  workspaceId: string,
  { limit, after }: { limit: number; after: readonly [signsFrom: string, id: string] | undefined },
): Promise<KeyRecord[]> => {
  const rows = await db
    .selectFrom('signingKeys')
    .select(['id', 'alg', 'signsFrom', 'signsUntil', 'publishedUntil', 'createdAt'])
    .where('workspaceId', '=', workspaceId)
    .$if(after !== undefined, (query) =>
      query.where(sql<boolean>`(signs_from, id) < (${after?.[0]}::timestamptz, ${after?.[1]})`),
    )
    .orderBy('signsFrom', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ ...row, state: stateOf(row, at) }))
}

const stateOf = (
  { signsFrom, signsUntil, publishedUntil }: Pick<KeyRecord, 'signsFrom' | 'signsUntil' | 'publishedUntil'>,
  at: Date,
): KeyRecord['state'] => {
  if (publishedUntil && publishedUntil <= at) return 'withdrawn'
  if (signsFrom > at) return 'coming'
  return signsUntil && signsUntil <= at ? 'published' : 'signing'
}

/** Throws `conflict` while new keys are on their way: more of them would only make the published set grow. */
export const refuseWhileComing = async (
  db: Db,
  at: Date,
  workspaceId: string,
  among: readonly Algorithm[] = algorithms,
): Promise<void> => {
  const coming = await db
    .selectFrom('signingKeys')
    .select('signsFrom')
    .where('workspaceId', '=', workspaceId)
    .where('signsFrom', '>', at)
    .where('alg', 'in', among)
    .executeTakeFirst()
  if (coming) throw new Problem('conflict', { detail: `New keys sign from ${coming.signsFrom.toISOString()}.` })
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
  const coming = rows.filter(({ signsFrom }) => signsFrom > at)
  const ended = rows.filter(({ signsFrom, signsUntil }) => signsFrom <= at && signsUntil !== null && signsUntil <= at)
  const signing = rows.filter((row) => !coming.includes(row) && !ended.includes(row))
  const keys = [...signing, ...ended, ...coming].map(({ id, privateSealed }) =>
    keyHere(JSON.parse(keyring.open(privateSealed, contextOf(workspaceId, id)))),
  )
  const changes = [
    ...coming.map(({ signsFrom }) => signsFrom),
    ...rows.flatMap(({ publishedUntil }) => publishedUntil ?? []),
  ]
  const changesAt = changes.toSorted((one, other) => one.getTime() - other.getTime())[0]
  return { keys, changesAt }
}

/** The keys that are published now, for checking what they signed: of a workspace that signs by others. */
export const loadPublic = async (db: Db, at: Date, workspaceId: string): Promise<SigningKey[]> => {
  const rows = await db
    .selectFrom('signingKeys')
    .select(['id', 'alg', 'publicJwk'])
    .where('workspaceId', '=', workspaceId)
    .where('signsFrom', '<=', at)
    .where((eb) => eb.or([eb('publishedUntil', 'is', null), eb('publishedUntil', '>', at)]))
    .orderBy('signsFrom', 'desc')
    .execute()
  const sign = () => Promise.reject(new Error('This key signs no more'))
  return rows.map(({ id, alg, publicJwk }) => ({ is: 'far', kid: id, alg, publicJwk, sign }))
}

/** How a workspace's published keys fare under the secrets of now. */
export interface KeyHealth {
  workspace: string
  /** Whether every algorithm of the workspace has a key that signs now. */
  signing: boolean
  /** Keys that no secret opens. */
  shut: number
  /** Keys that only a secret opens which is not the newest. */
  older: number
}

/**
 * Tries to open every key that is published now, of every workspace whose keys are not elsewhere; `newest` is a keyring of
 * the newest secret alone.
 */
export const examine = async (
  db: Db,
  { keyring, newest }: { keyring: Keyring; newest: Keyring },
  at: Date,
  elsewhere: readonly string[],
): Promise<KeyHealth[]> => {
  const rows = await db
    .selectFrom('workspaces')
    .where(sql<boolean>`not slug = any(${elsewhere}::text[])`)
    .leftJoin('signingKeys', (join) =>
      join
        .onRef('workspaceId', '=', 'workspaces.id')
        .on((eb) => eb.or([eb('publishedUntil', 'is', null), eb('publishedUntil', '>', at)])),
    )
    .select(['workspaces.id as workspaceId', 'slug', 'settings', 'signingKeys.id', 'alg', 'privateSealed'])
    .select(['signsFrom', 'signsUntil', 'publishedUntil'])
    .orderBy('slug')
    .execute()
  return [...Map.groupBy(rows, ({ slug }) => slug)].map(([workspace, found]) => {
    const own = found.flatMap(({ id, alg, privateSealed, signsFrom, workspaceId, ...times }) =>
      id && alg && privateSealed && signsFrom
        ? { alg, sealed: privateSealed, context: contextOf(workspaceId, id), signsFrom, ...times }
        : [],
    )
    const signing = new Set(own.filter((key) => stateOf(key, at) === 'signing').map(({ alg }) => alg))
    const shut = own.filter((key) => !opens(keyring, key)).length
    const older = own.filter((key) => !opens(newest, key)).length - shut
    const wanted = keySettings.parse(found[0]?.settings.keys ?? {}).algorithms
    return { workspace, signing: wanted.every((alg) => signing.has(alg)), shut, older }
  })
}

const opens = (keyring: Keyring, { sealed, context }: { sealed: string; context: string }): boolean => {
  try {
    keyring.open(sealed, context)
    return true
  } catch {
    return false
  }
}

/** Makes keys of some algorithms, which sign from a time on. */
export const insert = async (
  db: Db,
  keyring: Keyring,
  workspaceId: string,
  signsFrom: Date,
  among: readonly Algorithm[],
): Promise<void> => {
  if (among.length === 0) return
  const made = await Promise.all(among.map(async (alg) => ({ alg, key: await privateKey[alg]() })))
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

const contextOf = (workspaceId: string, id: string) => `signing-key:${workspaceId}:${id}`

const later = (at: Date, seconds: number) => new Date(at.getTime() + seconds * 1000)
