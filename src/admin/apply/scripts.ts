import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as scripts from '../../directory/scripts.ts'
import { all, type Fault, type Kind, missing, named, type Scene, slugOf } from './kind.ts'

const { name, code, enabled, on_failure } = scripts.scriptSettings.shape
const schema = z.strictObject({
  ...{ workspace: z.string(), name, enabled, on_failure, code },
  point: scripts.newScript.shape.point,
})
type Fields = z.output<typeof schema>

/** The scripts of workspaces. Their code stands in the file, or in one beside it. */
export const scriptKind: Kind<Fields, scripts.Script> = {
  name: 'scripts',
  noun: 'script',
  naming: z.object({ workspace: z.string(), name: z.string() }),
  keyOf: ({ workspace, name }) => `${workspace}/${name}`,
  schema,
  load: async (tools, { file, ...fields }) => {
    if (file === undefined) return { fields, faults: [] }
    const told = (detail: string) => ({ fields, faults: [{ pointer: '/file', detail }] })
    if (fields.code !== undefined) return told('The code stands here or in another file, and not in both')
    if (typeof file !== 'string') return told('This is the name of a file beside this one')
    const read = await tools.beside(file)
    return 'detail' in read ? told(read.detail) : { fields: { ...fields, code: read.text }, faults: [] }
  },
  async list({ db, workspaces, reach }) {
    const found: scripts.Script[] = []
    for (const { id, slug } of workspaces.values())
      if (!reach || reach.workspaces.has(slug)) found.push(...(await scripts.list(db, id, all)))
    return found
  },
  tell: (scene, script) => ({
    ...{ workspace: slugOf(scene, script.workspaceId), name: script.name, point: script.point },
    ...{ enabled: script.enabled, on_failure: script.onFailure, code: script.code },
  }),
  write: (scene, script) => {
    const { workspace, ...fields } = scriptKind.tell(scene, script)
    if (scriptIdOf(scene, workspace, script.name) === several)
      throw new Error(`Two scripts of the workspace ${workspace} are called "${script.name}": a file needs other names`)
    return { workspace, ...fields }
  },
  mayPrune: () => true,
  remark: (scene, row, { workspace, name, point }) => ({
    faults: [
      ...missing('workspace', '/workspace', [workspace], scene.workspaces),
      ...(scriptIdOf(scene, workspace, name) === several ? [twice] : []),
      ...(row && row.point !== point ? [{ pointer: '/point', detail: `It is for ${row.point}, and stays so` }] : []),
    ],
  }),
  async create({ db, at, workspaces }, { workspace, ...fields }) {
    await scripts.create(db, at, named(workspaces, workspace).id, fields, system)
  },
  async update({ db, at }, before, { workspace: _w, point: _p, ...fields }) {
    await scripts.update(db, at, before, { ...fields, record_next: before.recordNext }, system)
  },
  remove: ({ db, at }, script) => scripts.remove(db, at, script, system),
  touched: async () => undefined,
}

const twice: Fault = { pointer: '/name', detail: 'There are two of this name: give one of them another' }

/** In the place of an id where several scripts of a workspace have one name. */
const several = 'several'

type Names = Pick<Scene, 'slugs' | 'scripts'>

/** The id of a script of a workspace by its name; undefined where there is none. */
const scriptIdOf = ({ slugs, scripts: all }: Names, workspace: string, name: string): string | undefined => {
  const found = all.filter((one) => one.name === name && slugs.get(one.workspaceId) === workspace)
  return found.length > 1 ? several : found[0]?.id
}

/** What a file calls a script that a record of a workspace names: its name, or its id where that says too little. */
export const scriptNamed = (scene: Names, id: string | null): { workspace: string; name: string } | null => {
  const found = scene.scripts.find((one) => one.id === id)
  if (id === null || !found) return id === null ? null : { workspace: '', name: id }
  const workspace = scene.slugs.get(found.workspaceId) ?? ''
  return { workspace, name: scriptIdOf(scene, workspace, found.name) === several ? id : found.name }
}

/** The script that a record names, by its name in a workspace or by its id; a fault at `pointer` where there is none. */
export const readScript = (
  scene: Names,
  pointer: string,
  workspace: string,
  name: string | null,
): { id: string | null; faults: Fault[] } => {
  if (name === null) return { id: null, faults: [] }
  const found = scriptIdOf(scene, workspace, name) ?? scene.scripts.find(({ id }) => id === name)?.id
  if (found === several) return { id: null, faults: [{ ...twice, pointer }] }
  if (found !== undefined) return { id: found, faults: [] }
  const follows = `script ${workspace}/${name}`
  return { id: null, faults: [{ pointer, detail: `There is no script "${name}" in "${workspace}"`, follows }] }
}
