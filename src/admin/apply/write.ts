import { stringify } from 'yaml'
import { look, type Tools } from './kind.ts'
import { kinds } from './kinds.ts'

/** An installation as a file that makes the same one elsewhere; of secrets, it only names variables. */
export const writeFile = (tools: Tools): Promise<string> =>
  tools.db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (db) => {
      const scene = await look({ ...tools, db }, undefined)
      const lists: Record<string, object[]> = {}
      for (const kind of kinds) lists[kind.name] = await kind.write(scene)
      return stringify(lists, { lineWidth: 0, aliasDuplicateObjects: false })
    })
