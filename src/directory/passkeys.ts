import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import * as audit from './audit.ts'
import type { PoolSettings } from './pool-settings.ts'
import type { Pool } from './pools.ts'

const base64url = z.string().regex(/^[\w-]+$/)

/** What a credential of the kind `passkey` holds (WebAuthn L3 section 4, credential record). */
export const passkeyData = z.object({
  /** At most 1023 bytes, as base64url. */
  credential_id: base64url.max(1364),
  /** A COSE key (RFC 9052 section 7). */
  public_key: base64url,
  /** The RP ID that it was made for; it is good for no other. */
  rp_id: z.string(),
  /** What the authenticator knows its user by: 32 bytes that tell nothing. */
  user_handle: base64url,
  /** How often it was used, as far as it counts; 0 where it does not. */
  counter: z.int().min(0),
  /** Whether it can be on several devices, and whether it was there when it was last used (BE, BS). */
  backup_eligible: z.boolean(),
  backed_up: z.boolean(),
  transports: z.array(z.string()),
  /** The make of the authenticator, as far as it says. */
  aaguid: z.string(),
  /** What its owner calls it. */
  name: z.string(),
})
export type PasskeyData = z.infer<typeof passkeyData>

/** The longest name, in characters. */
export const longestName = 60

/** Somebody's passkey as they are shown it. */
export interface Passkey {
  id: string
  name: string
  backedUp: boolean
  createdAt: Date
  usedAt: Date | null
}

/** The passkeys of a user, the oldest first. */
export const list = async (db: Db, poolId: string, userId: string): Promise<Passkey[]> => {
  const rows = await db
    .selectFrom('credentials')
    .select(['id', 'data', 'createdAt', 'usedAt'])
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('kind', '=', 'passkey')
    .orderBy('id')
    .execute()
  return rows.flatMap(({ data, ...row }) => {
    const read = passkeyData.safeParse(data)
    return read.success ? [{ ...row, name: read.data.name, backedUp: read.data.backed_up }] : []
  })
}

/** Gives a passkey another name. Answers false where the user has none with this id. */
export const rename = async (db: Db, poolId: string, userId: string, id: string, name: string): Promise<boolean> => {
  const { numAffectedRows } = await sql`
    update credentials set data = jsonb_set(data, '{name}', to_jsonb(${nameFrom(name)}::text))
    where pool_id = ${poolId} and user_id = ${userId} and id = ${id} and kind = 'passkey'`.execute(db)
  return (numAffectedRows ?? 0n) > 0n
}

/** A name as it is kept: one line, not too long. */
export const nameFrom = (typed: string): string =>
  Array.from(
    typed
      .normalize('NFC')
      .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
      .trim(),
  )
    .slice(0, longestName)
    .join('')

/**
 * Takes one of a user's own ways to prove themselves away, in a transaction. The last second factor stays where the pool
 * requires one (ASVS 5.0, 7.5.1), and the last way to sign in stays: of two removed at once, one is.
 */
export const removeFactor = async (
  trx: Db,
  at: Date,
  { id: poolId, settings }: Pool,
  userId: string,
  id: string,
): Promise<'removed' | 'absent' | 'last_factor' | 'last_way'> => {
  await trx
    .selectFrom('users')
    .select('id')
    .where('poolId', '=', poolId)
    .where('id', '=', userId)
    .forUpdate()
    .executeTakeFirst()
  const held = await kindsOf(trx, poolId, userId)
  const kind = held.get(id)
  if (kind === undefined) return 'absent'
  const left = [...held].flatMap(([other, one]) => (other === id ? [] : [one]))
  if (settings.second_factor === 'required' && needs(settings.second_factors, kind, left)) return 'last_factor'
  if (needs(settings.sign_in_methods, kind, left)) return 'last_way'
  await trx
    .deleteFrom('credentials')
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('id', '=', id)
    .execute()
  const data = { by: { kind: 'person', id: userId }, kind } as const
  await audit.record(trx, at, { poolId, userId }, { type: 'user.credential_removed', data })
  return 'removed'
}

const kindsOf = async (db: Db, poolId: string, userId: string): Promise<Map<string, string>> => {
  const rows = await db
    .selectFrom('credentials')
    .select(['id', 'kind'])
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .execute()
  return new Map(rows.map(({ id, kind }) => [id, kind]))
}

/** What is sent to somebody needs no credential, and what stands in for another is none of its own. */
const sent = new Set<string>(['email_code', 'sms_code', 'magic_link'] satisfies PoolSettings['sign_in_methods'])

/** Whether a list of ways would have none left without this one. */
const needs = (ways: readonly string[], kind: string, left: readonly string[]): boolean =>
  ways.includes(kind) &&
  kind !== 'recovery_code' &&
  !ways.some((way) => sent.has(way) || (way !== 'recovery_code' && left.includes(way)))

/**
 * Uses a challenge up and moves a passkey's counter on, in one statement: of twenty answers at once one finds the
 * challenge unused. `counted` is whether the counter went up, where it counts at all (WebAuthn L3 section 7.2 step 22).
 */
export const use = async (
  db: Db,
  at: Date,
  { poolId, userId, id }: { poolId: string; userId: string; id: string },
  { challenge, counter, backedUp }: { challenge: { id: string; expiresAt: Date }; counter: number; backedUp: boolean },
): Promise<{ fresh: boolean; counted: boolean }> => {
  const { rows } = await sql<{ fresh: boolean; counted: boolean }>`
    with spent as (${spending(poolId, challenge, at)} returning id), moved as (
      update credentials set used_at = ${at},
        data = data || jsonb_build_object('counter', ${counter}::bigint, 'backed_up', ${backedUp}::boolean)
      where pool_id = ${poolId} and user_id = ${userId} and id = ${id} and kind = 'passkey'
        and ((data ->> 'counter')::bigint < ${counter}::bigint or (data ->> 'counter')::bigint + ${counter}::bigint = 0)
        and exists (select from spent)
      returning id
    ) select exists (select from spent) as fresh, exists (select from moved) as counted`.execute(db)
  return rows[0] ?? { fresh: false, counted: false }
}

/** Uses a challenge up; false where somebody was first. */
export const spend = async (
  db: Db,
  at: Date,
  poolId: string,
  challenge: { id: string; expiresAt: Date },
): Promise<boolean> => ((await spending(poolId, challenge, at).execute(db)).numAffectedRows ?? 0n) > 0n

// A challenge is signed and not stored: it becomes a row once it is used, for as long as it would be good.
const spending = (poolId: string, { id, expiresAt }: { id: string; expiresAt: Date }, at: Date) => sql`
  insert into challenges (pool_id, id, purpose, bound_to, code_hash, max_tries, consumed_at, expires_at)
  values (${poolId}, ${id}, 'passkey', '', '', 0, ${at}, ${expiresAt}) on conflict do nothing`
