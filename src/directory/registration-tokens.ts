import type { Db } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import { randomToken, sha256, uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'

/** What lets somebody register clients; its value is known to whoever it was shown to, this once. */
export interface RegistrationToken {
  workspaceId: string
  id: string
  name: string
  /** How many clients may still register by it; null for any number. */
  usesLeft: number | null
  createdBy: audit.By
  createdAt: Date
  expiresAt: Date
}

interface Wanted {
  name: string
  uses: number | null
  expiresAt: Date
}

/** Makes a registration token; needs a transaction. Its value comes back this once, only its hash is kept. */
export const create = async (
  db: Db,
  at: Date,
  workspaceId: string,
  { name, uses, expiresAt }: Wanted,
  by: audit.By,
): Promise<{ made: RegistrationToken; value: string }> => {
  const value = randomToken()
  const row = { workspaceId, id: uuidv7(at), name, usesLeft: uses, createdAt: at, expiresAt }
  await db
    .insertInto('registrationTokens')
    .values({ ...row, tokenHash: sha256(value), createdBy: JSON.stringify(by) })
    .execute()
  const data = { by, name, registration_token: row.id }
  await audit.record(db, at, { workspaceId }, { type: 'registration_token.created', data })
  return { made: { ...row, createdBy: by }, value }
}

/** A workspace's registration tokens that are not over, by id, from the one after `after`. */
export const list = async (db: Db, at: Date, workspaceId: string, page: Page): Promise<RegistrationToken[]> => {
  const rows = await db
    .selectFrom('registrationTokens')
    .select(columns)
    .where('workspaceId', '=', workspaceId)
    .where('expiresAt', '>', at)
    .$call(pageBy('id', page))
    .execute()
  return rows.map(tokenFrom)
}

export const find = async (db: Db, workspaceId: string, id: string): Promise<RegistrationToken | undefined> => {
  const row = await db
    .selectFrom('registrationTokens')
    .select(columns)
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .executeTakeFirst()
  return row && tokenFrom(row)
}

/** Revokes a token; clients that registered by it stay. Needs a transaction. */
export const remove = async (db: Db, at: Date, token: RegistrationToken, by: audit.By): Promise<void> => {
  const { workspaceId, id, name } = token
  await db.deleteFrom('registrationTokens').where('workspaceId', '=', workspaceId).where('id', '=', id).execute()
  const data = { by, name, registration_token: id }
  await audit.record(db, at, { workspaceId }, { type: 'registration_token.deleted', data })
}

const columns = ['workspaceId', 'id', 'name', 'usesLeft', 'createdBy', 'createdAt', 'expiresAt'] as const

const tokenFrom = (row: Omit<RegistrationToken, 'createdBy'> & { createdBy: Record<string, unknown> }) =>
  ({ ...row, createdBy: row.createdBy as unknown as audit.By }) satisfies RegistrationToken
