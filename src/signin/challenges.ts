import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import type { Pool } from '../directory/pools.ts'
import { plainCode } from '../platform/digits.ts'
import { randomDigits, randomToken, sha256, uuidv7 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'

export type Purpose = 'sign_in' | 'link' | 'register' | 'recover' | 'change'

interface NewChallenge {
  purpose: Purpose
  /** Everything that the code is only good for together: account, address, interaction, client. */
  boundTo: readonly (string | undefined)[]
  userId: string | undefined
  data?: Record<string, unknown>
  /**
   * Whether a link is made as well; its token carries the pool, for a link knows nothing else. Where the code is the
   * link's own, whoever holds the link can work it out.
   */
  link?: boolean | 'with its code'
  /** In the place of the pool's lifetime of codes, in seconds. */
  lifetime?: number
}

/**
 * Makes a code (and a link's token) that can be used once, within the pool's lifetime and tries. Only their hashes are
 * kept. An earlier challenge of the same purpose and binding is over from now on.
 */
export const issue = async (
  db: Db,
  { keyring, clock }: Services,
  pool: Pool,
  { purpose, boundTo, userId, data, link, lifetime }: NewChallenge,
): Promise<{ id: string; code: string; token: string }> => {
  const { length, lifetime_seconds, attempts } = pool.settings.code_policy
  const now = clock.now()
  const id = uuidv7(now)
  const token = `${pool.id.replaceAll('-', '')}${randomToken()}`
  const code = link === 'with its code' ? codeOfToken(token, length) : randomDigits(length)
  const bound = bindingOf(boundTo)
  await sql`
    with over as (
      update challenges set consumed_at = ${now} where pool_id = ${pool.id} and purpose = ${purpose}
        and consumed_at is null and user_id = ${userId ?? null}::uuid and bound_to = ${bound}
    )
    insert into challenges (pool_id, id, purpose, bound_to, code_hash, token_hash, user_id, data, max_tries, expires_at)
    values (${pool.id}, ${id}, ${purpose}, ${bound}, ${keyring.hmac('code', `${id}:${code}`)},
      ${link ? sha256(token) : null}, ${userId ?? null}, ${JSON.stringify(data ?? {})}::jsonb, ${attempts},
      ${new Date(now.getTime() + (lifetime ?? lifetime_seconds) * 1000)})`.execute(db)
  return { id, code, token }
}

export type Answer =
  | { is: 'right'; at: Date; userId: string | undefined; data: Record<string, unknown> }
  | { is: 'wrong' }
  | { is: 'over' }

/** Tries a code. One atomic statement: of twenty at once one is right, and fifty wrong ones count fifty. */
export const answer = async (
  db: Db,
  { keyring, clock }: Services,
  poolId: string,
  {
    id,
    purpose,
    boundTo,
    code,
  }: { id: string; purpose: Purpose; boundTo: readonly (string | undefined)[]; code: string },
): Promise<Answer> => {
  const now = clock.now()
  const typed = plainCode(code)
  const { rows } = await sql<Answered>`
    update challenges set tries = tries + 1,
      consumed_at = case when code_hash = any(${keyring.hmacs('code', `${id}:${typed}`)}) then ${now}::timestamptz end
    where pool_id = ${poolId} and id = ${id} and purpose = ${purpose} and bound_to = ${bindingOf(boundTo)}
      and consumed_at is null and expires_at > ${now} and tries < max_tries
    returning consumed_at is not null as fits, user_id, data, tries < max_tries as more`.execute(db)
  const row = rows[0]
  if (!row) return { is: 'over' }
  if (!row.fits) return row.more ? { is: 'wrong' } : { is: 'over' }
  return { is: 'right', at: now, userId: row.userId ?? undefined, data: row.data }
}

/** Takes a link in the place of its code, in the browser that asked for it. One atomic statement, as for a code. */
export const answerByLink = async (
  db: Db,
  { clock }: Services,
  poolId: string,
  asked: { id: string; purpose: Purpose; boundTo: readonly (string | undefined)[]; token: string },
): Promise<{ is: 'right' | 'over' }> => {
  const now = clock.now()
  const { numUpdatedRows } = await db
    .updateTable('challenges')
    .set({ consumedAt: now })
    .where('poolId', '=', poolId)
    .where('id', '=', asked.id)
    .where('purpose', '=', asked.purpose)
    .where('boundTo', '=', bindingOf(asked.boundTo))
    .where('tokenHash', '=', sha256(asked.token))
    .where('consumedAt', 'is', null)
    .where('expiresAt', '>', now)
    .whereRef('tries', '<', 'maxTries')
    .executeTakeFirst()
  return { is: numUpdatedRows === 1n ? 'right' : 'over' }
}

/** The code that goes with a link, of as many digits as the pool asks for; only the link's holder knows either. */
export const codeOfToken = (token: string, length: number): string => {
  // The remainder of 256 bits favours no digit by more than 2^-222.
  const number = BigInt(`0x${Buffer.from(sha256(`code of ${token}`), 'base64url').toString('hex')}`)
  return String(number % 10n ** BigInt(length)).padStart(length, '0')
}

interface Answered {
  fits: boolean
  more: boolean
  userId: string | null
  data: Record<string, unknown>
}

/** Gives a code back to whoever used it up at this moment, because what came with it could not be taken. */
export const reopen = async (db: Db, poolId: string, id: string, at: Date): Promise<void> => {
  await db
    .updateTable('challenges')
    .set({ consumedAt: null })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .where('consumedAt', '=', at)
    .execute()
}

/** Whether a link's token is still good; looking uses nothing up (mail scanners look). */
export const findByToken = async (db: Db, { clock }: Services, purpose: Purpose, token: string) => {
  const poolId = poolOfToken(token)
  if (!poolId) return undefined
  return db
    .selectFrom('challenges')
    .select(['poolId', 'id', 'userId', 'data'])
    .where('poolId', '=', poolId)
    .where('tokenHash', '=', sha256(token))
    .where('purpose', '=', purpose)
    .where('consumedAt', 'is', null)
    .where('expiresAt', '>', clock.now())
    .executeTakeFirst()
}

/** Uses a link's token up; undefined where somebody was first, or it is over. */
export const consumeToken = async (db: Db, { clock }: Services, purpose: Purpose, token: string) => {
  const poolId = poolOfToken(token)
  if (!poolId) return undefined
  return db
    .updateTable('challenges')
    .set({ consumedAt: clock.now() })
    .where('poolId', '=', poolId)
    .where('tokenHash', '=', sha256(token))
    .where('purpose', '=', purpose)
    .where('consumedAt', 'is', null)
    .where('expiresAt', '>', clock.now())
    .returning(['poolId', 'userId', 'data'])
    .executeTakeFirst()
}

/** Ends every challenge of a user that is still open. */
export const endAll = async (db: Db, at: Date, poolId: string, userId: string): Promise<void> => {
  await db
    .updateTable('challenges')
    .set({ consumedAt: at })
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('consumedAt', 'is', null)
    .execute()
}

/** What somebody has asked for and not yet answered; looking uses nothing up. */
export const findOpen = (
  db: Db,
  { clock }: Pick<Services, 'clock'>,
  poolId: string,
  { purpose, boundTo, userId }: { purpose: Purpose; boundTo: readonly (string | undefined)[]; userId: string },
) =>
  db
    .selectFrom('challenges')
    .select(['id', 'data'])
    .where('poolId', '=', poolId)
    .where('purpose', '=', purpose)
    .where('boundTo', '=', bindingOf(boundTo))
    .where('userId', '=', userId)
    .where('consumedAt', 'is', null)
    .where('expiresAt', '>', clock.now())
    .whereRef('tries', '<', 'maxTries')
    .orderBy('id', 'desc')
    .executeTakeFirst()

const bindingOf = (parts: readonly (string | undefined)[]) => sha256(JSON.stringify(parts.map((part) => part ?? null)))

const poolOfToken = (token: string): string | undefined => {
  const [, ...groups] = token.match(/^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})./) ?? []
  return groups.length === 5 ? z.uuid().safeParse(groups.join('-')).data : undefined
}
