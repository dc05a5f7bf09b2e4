import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as webhooks from '../../directory/webhooks.ts'
import { type Kind, missing, named, type Remarks, type Scene, slugOf } from './kind.ts'

const byVariable = z.strictObject(
  { env: z.string().regex(/^[A-Z][A-Z0-9_]{0,199}$/, 'A variable is named in capitals') },
  { error: 'A secret does not stand in a file: write { env: NAME_OF_A_VARIABLE }' },
)

const schema = z.strictObject({
  workspace: z.string(),
  ...webhooks.webhookSettings.shape,
  secret: byVariable.optional(),
})
type Fields = z.output<typeof schema>

/** What workspaces are sent their events by. Secrets come from the environment. */
export const webhookKind: Kind<Fields, webhooks.Webhook> = {
  name: 'webhooks',
  noun: 'webhook',
  naming: z.object({ workspace: z.string(), name: z.string() }),
  keyOf: ({ workspace, name }) => `${workspace} ${name}`,
  schema,
  aside: ['secret'],
  async list({ db, workspaces, reach }) {
    const found: webhooks.Webhook[] = []
    for (const { id, slug } of workspaces.values())
      if (!reach || reach.workspaces.has(slug)) found.push(...(await webhooks.all(db, id)))
    return found
  },
  tell: (scene, webhook) => ({ workspace: slugOf(scene, webhook.workspaceId), ...webhooks.settingsOf(webhook) }),
  write: (scene, webhook) => ({
    ...webhookKind.tell(scene, webhook),
    secret: { env: variableOf(slugOf(scene, webhook.workspaceId), webhook.name) },
  }),
  mayPrune: () => true,
  remark(scene, row, wished) {
    const remarks = secretRemarks(scene, row, wished)
    const faults = missing('workspace', '/workspace', [wished.workspace], scene.workspaces)
    return { ...remarks, faults: [...faults, ...(remarks.faults ?? [])] }
  },
  async create(scene, { workspace, secret, ...settings }) {
    const { db, at, keyring, workspaces } = scene
    const { value } = lookUp(scene, secret?.env)
    if (value === undefined) throw new Error('The secret was there a moment ago')
    await webhooks.create(
      db,
      at,
      { workspaceId: named(workspaces, workspace).id, keyring, secret: value },
      settings,
      system,
    )
  },
  async update(scene, before, { workspace: _w, secret, ...settings }, changed) {
    const { db, at, keyring } = scene
    const fields = [...changed].some((name) => name !== 'secret')
    const after = fields ? await webhooks.update(db, at, before, settings, system) : before
    const { value } = lookUp(scene, secret?.env)
    if (value !== undefined && !isCurrent(scene, before, value))
      await webhooks.rotateSecret(db, at, after, { keyring, secret: value }, system)
  },
  remove: ({ db, at }, webhook) => webhooks.remove(db, at, webhook, system),
  touched: async () => undefined,
}

const secretRemarks = (scene: Scene, row: webhooks.Webhook | undefined, wished: Fields): Remarks => {
  const env = wished.secret?.env
  if (!env) return row ? {} : refuse(`It needs a secret: write { env: ${variableOf(wished.workspace, wished.name)} }`)
  const { value, detail } = lookUp(scene, env)
  if (detail) return refuse(detail)
  if (!value && !row) return refuse(`It has no secret yet, and the variable ${env} is not set`)
  if (!value) return { notes: [`secret: stays as it is, for ${env} is not set`] }
  if (!webhooks.secretShape.test(value)) return refuse(`${env} holds no whsec_ and 24 to 64 bytes as base64`)
  if (!row) return { changes: [`secret: that of ${env}`] }
  if (isCurrent(scene, row, value)) return {}
  return { changes: [`secret: that of ${env}; the one before signs along until it is ended`] }
}

const isCurrent = ({ keyring }: Scene, webhook: webhooks.Webhook, secret: string): boolean =>
  webhooks.openSecrets(keyring, webhook)[0] === secret

const lookUp = ({ variable }: Scene, env: string | undefined): { value?: string | undefined; detail?: string } => {
  if (env === undefined) return {}
  try {
    return { value: variable(env) }
  } catch (error) {
    return { detail: error instanceof Error ? error.message : `${env} cannot be read` }
  }
}

const refuse = (detail: string): Remarks => ({ faults: [{ pointer: '/secret', detail }] })

const variableOf = (workspace: string, name: string): string =>
  `LIDO_SECRET_${workspace}_${name}`.toUpperCase().replace(/[^A-Z0-9]/g, '_')
