import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import * as audit from '../directory/audit.ts'
import { type Algorithm, algorithms, keySettings } from '../directory/key-settings.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { listFolders } from './key-files.ts'
import * as keys from './keys.ts'

/** Workspaces that one round takes at most; the next one takes the rest. */
const most = 100

/**
 * Changes over what has signed for as long as its workspace allows, ends what keys in a folder have taken the place of,
 * and deletes what is withdrawn. Every node calls it; of those that come at once one does it.
 */
export const tend = async (services: Tools): Promise<void> => {
  const { db, keyring, clock, config } = services
  const at = clock.now()
  const folders = await listFolders(config)
  await db.deleteFrom('signingKeys').where('publishedUntil', '<=', at).execute()
  await settleFolders(services, folders)
  for (const { id } of await listDue(db, at, folders)) {
    await db.transaction().execute(async (trx) => {
      if (!(await hold(trx, id))) return
      await keys.replace(trx, { keyring, at, workspaceId: id, by: audit.system }, await listDueOf(trx, at, id))
    })
  }
}

type Tools = Pick<Services, 'db' | 'keyring' | 'clock' | 'config'>

/**
 * Lets the keys that workspaces with a folder have in the database sign no more, and makes new ones for workspaces that
 * had a folder and have none now.
 */
export const settleFolders = async (services: Tools, folders: readonly string[]): Promise<void> => {
  const { db, keyring, clock } = services
  const at = clock.now()
  for (const { id } of await listLeft(db, folders))
    await db.transaction().execute(async (trx) => {
      if (await hold(trx, id)) await keys.end(trx, id, at, algorithms)
    })
  for (const { id, settings } of await listBare(db, folders)) {
    const wanted = keySettings.parse(settings.keys ?? {}).algorithms
    await db.transaction().execute(async (trx) => {
      await keys.lock(trx, id)
      if ((await keys.listUnending(trx, id)).length === 0) await keys.insert(trx, keyring, id, at, wanted)
    })
  }
}

/** Workspaces with a folder whose keys in the database nothing ends yet. */
const listLeft = (db: Db, folders: readonly string[]): Promise<{ id: string }[]> =>
  db
    .selectFrom('workspaces')
    .select('id')
    .where(sql<boolean>`slug = any(${folders}::text[])`)
    .where(
      sql<boolean>`exists (select from signing_keys k where k.workspace_id = workspaces.id and k.signs_until is null)`,
    )
    .limit(most)
    .execute()

/** Workspaces without a folder that no key in the database signs for beyond some time. */
const listBare = (db: Db, folders: readonly string[]) =>
  db
    .selectFrom('workspaces')
    .select(['id', 'settings'])
    .where(sql<boolean>`not slug = any(${folders}::text[])`)
    .where(
      sql<boolean>`not exists (select from signing_keys k where k.workspace_id = workspaces.id and k.signs_until is null)`,
    )
    .limit(most)
    .execute()

const isDue = (
  at: Date,
) => sql<boolean>`signs_until is null and signs_from <= ${at}::timestamptz - make_interval(days =>
  nullif(coalesce((settings -> 'keys' ->> 'rotate_after_days')::int, ${keySettings.parse({}).rotate_after_days}), 0))`

const due = (db: Db, at: Date) =>
  db.selectFrom('signingKeys').innerJoin('workspaces', 'workspaces.id', 'signingKeys.workspaceId').where(isDue(at))

const listDue = (db: Db, at: Date, except: readonly string[]): Promise<{ id: string }[]> =>
  due(db, at)
    .where(sql<boolean>`not slug = any(${except}::text[])`)
    .select('workspaces.id')
    .distinct()
    .orderBy('workspaces.id')
    .limit(most)
    .execute()

const listDueOf = async (db: Db, at: Date, workspaceId: string): Promise<Algorithm[]> => {
  const rows = await due(db, at).select('alg').distinct().where('workspaceId', '=', workspaceId).execute()
  return rows.map(({ alg }) => alg)
}

/** Takes the lock of a workspace unless another node has it, which then does what there is to do. */
const hold = async (trx: Db, workspaceId: string): Promise<boolean> =>
  (await trx
    .selectFrom('workspaces')
    .select('id')
    .where('id', '=', workspaceId)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst()) !== undefined

/**
 * Withdraws a key this moment, with all that it signed: clients refuse that as soon as they read the keys again. Where it
 * signed, the next one signs at once. Throws `not_found`, and `conflict` for one that is gone already.
 */
export const revoke = (db: Db, change: keys.Change, kid: string): Promise<void> =>
  db.transaction().execute(async (trx) => {
    const { at, workspaceId, by } = change
    await keys.lock(trx, workspaceId)
    const key = await trx
      .updateTable('signingKeys')
      .set({ signsUntil: sql`least(signs_until, ${at})`, publishedUntil: at })
      .where('workspaceId', '=', workspaceId)
      .where('id', '=', kid)
      .where((eb) => eb.or([eb('publishedUntil', 'is', null), eb('publishedUntil', '>', at)]))
      .returning(['alg', 'signsUntil'])
      .executeTakeFirst()
    if (!key) return refuseUnknown(trx, workspaceId, kid)
    // One that had ceased to sign before leaves no gap: a newer one signs, or a folder.
    if (key.signsUntil && key.signsUntil >= at) await cover(trx, change, key)
    await audit.record(trx, at, { workspaceId }, { type: 'keys.revoked', data: { by, kid, algorithm: key.alg } })
  })

const refuseUnknown = async (db: Db, workspaceId: string, kid: string): Promise<never> => {
  const gone = await db
    .selectFrom('signingKeys')
    .select('id')
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', kid)
    .executeTakeFirst()
  throw gone ? new Problem('conflict', { detail: 'This key is withdrawn already.' }) : new Problem('not_found')
}

/** Leaves no moment, now or later, at which nothing signs by the algorithm of a key that is gone. */
const cover = async (trx: Db, { keyring, at, workspaceId }: keys.Change, gone: { alg: Algorithm }): Promise<void> => {
  const left = await trx
    .selectFrom('signingKeys')
    .select(['id', 'signsFrom', 'signsUntil'])
    .where('workspaceId', '=', workspaceId)
    .where('alg', '=', gone.alg)
    .where((eb) => eb.or([eb('signsUntil', 'is', null), eb('signsUntil', '>', at)]))
    .orderBy('signsFrom')
    .execute()
  let until: Date | null = at
  for (const { id, signsFrom, signsUntil } of left) {
    if (until && signsFrom > until) await advance(trx, workspaceId, id, until)
    until = until && signsUntil && (signsUntil > until ? signsUntil : until)
  }
  if (until) await keys.insert(trx, keyring, workspaceId, until, [gone.alg])
}

const advance = (trx: Db, workspaceId: string, id: string, signsFrom: Date): Promise<unknown> =>
  trx
    .updateTable('signingKeys')
    .set({ signsFrom })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .execute()

/**
 * Makes keys of the algorithms that a workspace has come to, and ends those of what it has dropped; nothing where it signs
 * by keys in a folder, which have ended all of them. In a transaction.
 */
export const adjust = async (trx: Db, change: keys.Change, wanted: readonly Algorithm[]): Promise<void> => {
  const { keyring, at, workspaceId } = change
  await keys.lock(trx, workspaceId)
  const kept = await keys.listUnending(trx, workspaceId)
  if (kept.length === 0) return
  await keys.end(
    trx,
    workspaceId,
    at,
    kept.filter((alg) => !wanted.includes(alg)),
  )
  await keys.insert(
    trx,
    keyring,
    workspaceId,
    at,
    wanted.filter((alg) => !kept.includes(alg)),
  )
}
