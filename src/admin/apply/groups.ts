import { sql } from 'kysely'
import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as groups from '../../directory/groups.ts'
import { Problem } from '../../platform/problem.ts'
import { all, type Kind, missing, named, type Scene, slugOf } from './kind.ts'

const { name, description } = groups.groupFields.shape
const path = z
  .string()
  .startsWith('/', 'A path begins with a slash')
  .superRefine((text, context) => {
    for (const part of namesOf(text))
      for (const { message } of name.safeParse(part).error?.issues ?? [])
        context.addIssue({ code: 'custom', message, input: text })
  })
const schema = z.strictObject({ pool: z.string(), path, description })
type Fields = z.output<typeof schema>

/** Groups by their paths; not their members. */
export const groupKind: Kind<Fields, groups.Group> = {
  name: 'groups',
  noun: 'group',
  naming: z.object({ pool: z.string(), path: z.string() }),
  keyOf: ({ pool, path: at }) => `${pool}${at}`,
  schema,
  order: (one, other) => namesOf(one.path ?? '').length - namesOf(other.path ?? '').length,
  implied: ({ pool = null, path: at }) => aboveOf(at ?? '').map((around) => ({ pool, path: around })),
  async list(scene) {
    const found: groups.Group[] = []
    for (const { id } of poolsInReach(scene)) found.push(...(await groups.list(scene.db, id, all)))
    return found.toSorted((one, other) => namesOf(other.path).length - namesOf(one.path).length)
  },
  tell: (scene, group) => ({
    pool: slugOf(scene, group.poolId),
    path: group.path,
    description: group.description,
  }),
  mayPrune: () => true,
  remark: (scene, _row, { pool }) => ({ faults: missing('pool', '/pool', [pool], scene.pools) }),
  async create({ db, at, pools }, wished) {
    const { id } = named(pools, wished.pool)
    const parent_id = await findId(db, id, namesOf(wished.path).slice(0, -1))
    await groups.create(db, at, id, { name: lastOf(wished.path), parent_id, description: wished.description }, system)
  },
  async update({ db, at }, group, wished) {
    const fields = { name: group.name, parent_id: group.parentId, description: wished.description }
    await groups.update(db, at, group, () => fields, system)
  },
  remove: ({ db, at }, group) => groups.remove(db, at, group, system),
  touched: async ({ db }, change) => (change.is === 'delete' ? countMembers(db, change.row) : undefined),
}

const namesOf = (text: string): string[] => text.split('/').slice(1)

const lastOf = (text: string): string => namesOf(text).at(-1) ?? ''

/** The paths of the groups around one, from the top. */
const aboveOf = (text: string): string[] => {
  const names = namesOf(text)
  return names.slice(0, -1).map((_, index) => `/${names.slice(0, index + 1).join('/')}`)
}

const poolsInReach = ({ pools, reach }: Scene) =>
  [...pools.values()].filter(({ slug }) => !reach || reach.pools.has(slug))

const findId = async (db: Scene['db'], poolId: string, names: readonly string[]): Promise<string | null> => {
  let parentId: string | null = null
  for (const one of names) {
    const here: groups.Group[] = await groups.list(db, poolId, { ...all, parentId, search: one })
    parentId = here.find((group) => group.name === one)?.id ?? null
    if (parentId === null) throw new Problem('conflict', { detail: `The group "${one}" around it could not be made` })
  }
  return parentId
}

const countMembers = async (db: Scene['db'], { poolId, id }: groups.Group): Promise<number> => {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from group_members m join users u on u.pool_id = m.pool_id and u.id = m.user_id
    where m.pool_id = ${poolId} and m.group_id = ${id} and u.status <> 'deleted'`.execute(db)
  return rows[0]?.count ?? 0
}
