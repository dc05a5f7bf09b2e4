import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'

const newConnection = z.object({
  pool_id: z.uuid(),
  name: z.string().min(1).max(200),
  position: z.int().default(0),
  hidden: z.boolean().default(false),
  domains: z.array(z.string().toLowerCase()).default([]),
  amr: z.array(z.string()).nullable().default(null),
  mapping: z.record(z.string(), z.string()).default({}),
})

/** Connects a pool to a workspace. Throws `conflict` where it is connected already. */
export const create = async (
  db: Db,
  at: Date,
  workspaceId: string,
  input: z.input<typeof newConnection>,
  by: audit.By = audit.system,
): Promise<string> => {
  const { pool_id: poolId, mapping, ...connection } = newConnection.parse(input)
  const row = await db
    .insertInto('connections')
    .values({ workspaceId, id: uuidv7(at), poolId, ...connection, mapping: JSON.stringify(mapping) })
    .onConflict((conflict) => conflict.columns(['workspaceId', 'poolId']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!row) throw new Problem('conflict', { detail: 'This pool is connected to the workspace already.' })
  const about = { workspaceId, poolId }
  await audit.record(db, at, about, { type: 'connection.created', data: { by, name: connection.name } })
  return row.id
}

/** Opens or closes a connection; closed, the pool's people are refused everywhere in the workspace. */
export const setEnabled = async (db: Db, workspaceId: string, id: string, enabled: boolean): Promise<void> => {
  const { numUpdatedRows } = await db
    .updateTable('connections')
    .set({ enabled, updatedAt: new Date() })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new Problem('not_found')
}
