import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as domains from '../../directory/domains.ts'
import { type Kind, missing, named, type Scene, slugOf } from './kind.ts'

const schema = z.strictObject({
  workspace: z.string(),
  host: domains.hostName,
  primary: z.boolean().default(false).describe('Whether the workspace speaks of it as its own address'),
  active: z.boolean().default(true).describe('Whether the workspace answers there; false leaves it to be verified'),
})
type Fields = z.output<typeof schema>

/** The domains that workspaces answer at. Who applies a file may do everything: a domain is active without being asked. */
export const domainKind: Kind<Fields, domains.Domain> = {
  name: 'domains',
  noun: 'domain',
  naming: z.object({ workspace: z.string(), host: z.string() }),
  keyOf: ({ workspace, host }) => `${workspace}/${host}`,
  schema,
  async list({ db, workspaces, reach }) {
    const reached = [...workspaces.values()].filter(({ slug }) => !reach || reach.workspaces.has(slug))
    return domains.listOf(
      db,
      reached.map(({ id }) => id),
    )
  },
  tell: (scene, { workspaceId, host, isPrimary, state }) => {
    return { workspace: slugOf(scene, workspaceId), host, primary: isPrimary, active: state === 'active' }
  },
  mayPrune: () => true,
  remark: (scene, row, { workspace, primary, active }) => ({
    faults: [
      ...missing('workspace', '/workspace', [workspace], scene.workspaces),
      ...(primary && !active ? [{ pointer: '/primary', detail: 'Only an active domain can be primary' }] : []),
      ...(row?.state === 'active' && !active
        ? [{ pointer: '/active', detail: 'A domain that is active is deleted, and never pending again' }]
        : []),
    ],
  }),
  async create(scene, { workspace, host, ...wished }) {
    const { db, at, config } = scene
    const added = await domains.add(db, at, { config, workspace: named(scene.workspaces, workspace), host }, system)
    await settle(scene, added, wished)
  },
  update: (scene, row, wished) => settle(scene, row, wished),
  remove: ({ db, at }, row) => domains.remove(db, at, row, system),
  touched: async () => undefined,
}

const settle = async (
  { db, at }: Scene,
  domain: domains.Domain,
  { active, primary }: Pick<Fields, 'active' | 'primary'>,
): Promise<void> => {
  const now = active && domain.state === 'pending' ? await domains.activate(db, at, domain, 'operator', system) : domain
  if (now.isPrimary !== primary) await domains.setPrimary(db, at, now, primary, system)
}
