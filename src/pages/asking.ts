import { emptyWork } from '../db/work.ts'
import { issuerOf } from '../directory/address.ts'
import * as records from '../directory/backchannel-requests.ts'
import * as clients from '../directory/clients.ts'
import { languageOf, post } from '../directory/outbox.ts'
import * as users from '../directory/users.ts'
import * as workspaces from '../directory/workspaces.ts'
import { openConnection, type Workspace } from '../directory/workspaces.ts'
import { type Asked, openQuestion, sealRequest } from '../oidc/ciba.ts'
import { uuidv7 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { take } from '../signin/limits.ts'
import { allow } from '../signin/sending.ts'

/**
 * Asks somebody what a client wants of them, by mail and on their account page (CIBA Core 1.0 section 7.3). Whoever is
 * asked too often is not asked at all; the client hears nothing of that.
 */
export const askPerson =
  (services: Services) =>
  async (payload: unknown): Promise<void> => {
    const { db, clock } = services
    const asked = openQuestion(services, payload)
    const at = clock.now()
    const workspace = await workspaces.findById(db, asked.workspaceId)
    const client = workspace && (await clients.find(db, workspace.id, asked.clientId))
    const user = asked.userId === undefined ? undefined : await users.findById(db, asked.userId)
    if (!workspace || !user || client?.status !== 'active' || at.getTime() >= asked.expiresAt) return
    const counter = { kind: 'requests of account', scope: workspace.id, who: user.id } as const
    if (!(await take(db, at, [counter]))) return
    await ask(services, workspace, { asked, user, client: client.metadata.client_name, at })
  }

interface Asking {
  asked: Asked
  user: users.User
  client: string
  at: Date
}

const ask = async (services: Services, workspace: Workspace, { asked, user, client, at }: Asking): Promise<void> => {
  const to = await addressOf(services, workspace, asked, user)
  const id = uuidv7(at)
  const { clientId, bindingMessage, notificationToken } = asked
  const sealed = sealRequest(services.keyring, id, { id: asked.id, bindingMessage, notificationToken })
  const expiresAt = new Date(asked.expiresAt)
  const owner = { workspaceId: workspace.id, poolId: user.poolId, userId: user.id }
  const minutes = Math.max(1, Math.round((asked.expiresAt - at.getTime()) / 60_000))
  const link = `${issuerOf(services.config, workspace)}/account/requests/${id}`
  const values = { client, message: bindingMessage ?? '', link, minutes }
  await services.db.transaction().execute(async (trx) => {
    await records.create(trx, { ...owner, id, clientId, sealed, createdAt: at, expiresAt })
    if (to === undefined) return
    const from = { services, workspace, lang: languageOf(user.profile, workspace) }
    await post(trx, from, { to, channel: 'email', template: 'request', values })
  })
}

/** Where the mail goes; undefined where the person has no address, or has got too many. */
const addressOf = async (
  services: Services,
  workspace: Workspace,
  { ip, hint }: Asked,
  user: users.User,
): Promise<string | undefined> => {
  const pool = openConnection(workspace, user.poolId)?.pool
  const to = user.identifiers.find(({ kind, verified }) => kind === 'email' && verified)?.value
  if (!pool || to === undefined) return undefined
  const work = emptyWork(services.clock.now())
  const scene = { services, workspace, client: undefined, lang: 'en', ip, work }
  return (await allow(scene, pool, { channel: 'email', asked: hint, to, userId: user.id }))?.to
}
