import { sql } from 'kysely'
import type { Db } from '../../db/connect.ts'
import { type Identifier, readIdentifier } from '../../directory/identifiers.ts'
import type { Waiting } from '../../directory/migration-rounds.ts'
import type { Pool } from '../../directory/pools.ts'
import * as tombstones from '../../directory/tombstones.ts'
import type { Outsider } from '../outsider.ts'

/** Somebody at a pool's source who has not come over. */
export interface Remaining {
  externalId: string
  identifiers: (Identifier & { verified: boolean })[]
  /** Their copy here, which has no password. */
  userId: string | undefined
}

/**
 * Those of some people at a pool's source who have not come over: who has a password here or came for good has, who was
 * deleted here never will, and whatever somebody else goes by here is no way to reach them.
 */
export const remainingOf = async (
  db: Db,
  { id: poolId, settings }: Pool,
  outsiders: readonly Outsider[],
): Promise<Remaining[]> => {
  const people = outsiders.map(({ externalId, identifiers }) => ({
    externalId,
    identifiers: identifiers.flatMap(({ kind, typed, verified }) => {
      const read = readIdentifier(typed, [kind], settings.default_country)
      return read && settings.identifiers.includes(kind) ? [{ ...read, verified }] : []
    }),
  }))
  const named = people.flatMap(({ identifiers }) => identifiers)
  const [here, holders, buried] = await Promise.all([
    findHere(
      db,
      poolId,
      people.map(({ externalId }) => externalId),
    ),
    findHolders(db, poolId, named),
    tombstones.listLying(db, poolId, [
      ...people.map(({ externalId: value }) => ({ kind: 'external_id', value }) as const),
      ...named.map(({ kind, value }) => ({ kind, value })),
    ]),
  ])
  const lies = new Set(buried.map(keyOf))
  return people.flatMap(({ externalId, identifiers }) => {
    if (lies.has(keyOf({ kind: 'external_id', value: externalId })) || identifiers.some((one) => lies.has(keyOf(one))))
      return []
    const known = here.get(externalId)
    if (known?.came) return []
    const free = identifiers.filter((one) => {
      const holder = holders.get(keyOf(one))
      return holder === undefined || holder === known?.id
    })
    return free.length > 0 ? [{ externalId, identifiers: free, userId: known?.id }] : []
  })
}

/** What a mail goes to: an address that is proven, and one that is not only where nothing of theirs is. */
export const waitingFor = ({ externalId, identifiers }: Remaining): Waiting | undefined => {
  const proven = identifiers.filter(({ verified }) => verified)
  const mailbox = (proven.length > 0 ? proven : identifiers).find(({ kind }) => kind === 'email')
  return mailbox && { ...nameOf(mailbox), externalId, address: mailbox.value }
}

const nameOf = ({ kind, value, typed }: Identifier): Identifier => ({ kind, value, typed })

const findHere = async (db: Db, poolId: string, externalIds: readonly string[]) => {
  const { rows } = await sql<{ externalId: string; id: string; came: boolean }>`
    select u.external_id, u.id, (u.authority = 'migrated' or u.status <> 'active' or exists (
      select from credentials c where c.pool_id = u.pool_id and c.user_id = u.id and c.kind = 'password')) as came
    from users u
    where u.pool_id = ${poolId} and u.external_id = any(${externalIds}::text[]) and u.status not in ('new', 'deleted')`.execute(
    db,
  )
  return new Map(rows.map(({ externalId, id, came }) => [externalId, { id, came }]))
}

/** Who goes by some identifiers; what only a registration claims is nobody's yet. */
const findHolders = async (db: Db, poolId: string, named: readonly Identifier[]): Promise<Map<string, string>> => {
  if (named.length === 0) return new Map()
  const { rows } = await sql<{ kind: string; value: string; userId: string }>`
    select n.kind, n.value, n.user_id from identifiers n
    join jsonb_to_recordset(${JSON.stringify(named)}::jsonb) as asked (kind text, value text)
      on asked.kind = n.kind and asked.value = n.value
    join users u on u.pool_id = n.pool_id and u.id = n.user_id and u.status <> 'new'
    where n.pool_id = ${poolId}`.execute(db)
  return new Map(rows.map(({ userId, ...name }) => [keyOf(name), userId]))
}

const keyOf = ({ kind, value }: { kind: string; value: string }): string => `${kind}:${value}`
