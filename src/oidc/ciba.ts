import { z } from 'zod'
import { takeWork, type Work } from '../db/work.ts'
import * as audit from '../directory/audit.ts'
import * as records from '../directory/backchannel-requests.ts'
import { cibaGrant } from '../directory/client-metadata.ts'
import * as clients from '../directory/clients.ts'
import type { User } from '../directory/users.ts'
import { enqueue } from '../platform/jobs.ts'
import type { Keyring } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import type { Provider } from './engine.ts'
import { scopesOf } from './features/resources.ts'
import type { Issuer } from './providers.ts'
import { claimsBeside, claimsRequested } from './requested-claims.ts'
import { seeAccount, seenBy } from './seen.ts'

/** The job that tells a client to ask for an answer (CIBA Core 1.0 section 10.2). */
export const task = 'ping_client'

const contents = z.object({
  id: z.string(),
  notificationToken: z.string().optional(),
  bindingMessage: z.string().optional(),
})
type Contents = z.infer<typeof contents>

/** The job that asks a person what a client wants of them. */
export const askTask = 'ask_person'

const asked = contents.extend({
  workspaceId: z.string(),
  clientId: z.string(),
  ip: z.string(),
  /** What the client called the person by. */
  hint: z.string(),
  /** Nobody's request has none: it is never answered, and looks like any other one until then. */
  userId: z.string().optional(),
  /** In milliseconds. */
  expiresAt: z.number(),
})
/** A client's request to somebody who is not at its place. */
export type Asked = z.infer<typeof asked>

/** Puts a request into the outbox, sealed: who is asked stays with the job. */
export const enqueueQuestion = ({ db, keyring }: Services, question: Asked): Promise<void> =>
  enqueue(db, askTask, { sealed: keyring.seal(JSON.stringify(question), askTask) }, { maxAttempts: 4 })

export const openQuestion = ({ keyring }: Services, payload: unknown): Asked => {
  const { sealed } = z.object({ sealed: z.string() }).parse(payload)
  return asked.parse(JSON.parse(keyring.open(sealed, askTask)))
}

/** Seals a request as its client knows it: the database alone cannot ask for its tokens. */
export const sealRequest = (keyring: Keyring, id: string, request: Contents): string =>
  keyring.seal(JSON.stringify(request), `backchannel request ${id}`)

const openRequest = (keyring: Keyring, { id, sealed }: Pick<records.BackchannelRequest, 'id' | 'sealed'>): Contents =>
  contents.parse(JSON.parse(keyring.open(sealed, `backchannel request ${id}`)))

/** What a person is asked. */
export interface Question {
  record: records.BackchannelRequest
  client: clients.Client
  bindingMessage: string | undefined
  scopes: string[]
  /** What it asks for claim by claim, besides what those scopes carry. */
  claims: string[]
  params: Record<string, unknown>
}

/** Reads what is asked in a request; undefined where it is over, or its client is. */
export const readQuestion = async (
  { keyring }: Services,
  { provider, findClient, workspace }: Issuer,
  record: records.BackchannelRequest,
): Promise<Question | undefined> => {
  const { id, bindingMessage } = openRequest(keyring, record)
  const request = await provider.BackchannelAuthenticationRequest.find(id)
  const client = await findClient(record.clientId)
  if (!request || request.grantId || request.error || client?.status !== 'active') return undefined
  const params = (request.params ?? {}) as Record<string, unknown>
  const scopes = (request.scope ?? '').split(' ').filter(Boolean)
  return { record, client, bindingMessage, scopes, claims: claimsBeside(workspace, params, scopes), params }
}

interface Answering {
  services: Services
  issuer: Issuer
  work: Work
  user: User
  question: Question
  /** How the person is known who answers; undefined for a no. */
  known: { acr: string; amr: string[]; at: Date } | undefined
}

/** Answers a request, once; false where it was answered already, or is over. */
export const answer = async (answering: Answering): Promise<boolean> => {
  const { services, issuer, work, user, question, known } = answering
  const { db, clock, hot, keyring } = services
  const at = clock.now()
  const owner = { workspaceId: issuer.workspace.id, poolId: user.poolId, userId: user.id }
  const request = openRequest(keyring, question.record)
  const answered = await db.transaction().execute(async (trx) => {
    if (!(await records.answer(trx, at, owner, question.record.id))) return false
    const type = known ? 'consent.given' : 'consent.denied'
    const { scopes, claims } = question
    const data = { scopes, ...(claims.length > 0 ? { claims } : {}), grant_type: cibaGrant }
    await audit.record(trx, at, { ...owner, clientId: question.client.id }, { type, data })
    if (request.notificationToken !== undefined) await ping(trx, services, issuer, question, request)
    return true
  })
  if (!answered) return false
  seeAccount(seenBy(work), user)
  await tellEngine(answering, request.id)
  return (await hot.commit(takeWork(work))) === undefined
}

const tellEngine = async ({ issuer: { provider }, user, question, known }: Answering, id: string): Promise<void> => {
  const request = await provider.BackchannelAuthenticationRequest.find(id)
  if (!request) return
  if (!known) {
    const no = { error: 'access_denied', errorDescription: 'the person said no' }
    await Object.assign(request, no).save()
    return
  }
  const grant = new provider.Grant({ accountId: user.id, clientId: question.client.id })
  grant.addOIDCScope(question.scopes.join(' '))
  const claims = claimsRequested(question.params)
  if (claims.length > 0) grant.addOIDCClaims(claims)
  for (const resource of [request.resource ?? []].flat()) {
    const allowed = new Set(scopesOf(question.client.metadata, resource))
    grant.addResourceScope(resource, question.scopes.filter((scope) => allowed.has(scope)).join(' '))
  }
  await grant.save()
  const { acr, amr, at } = known
  await provider.backchannelResult(request, grant, { acr, amr, authTime: Math.floor(at.getTime() / 1000) })
}

/** A moment later, when the answer is there to be asked for. */
const ping = (
  trx: Services['db'],
  { keyring, clock }: Services,
  { workspace }: Issuer,
  { client }: Question,
  { id, notificationToken }: Contents,
): Promise<void> => {
  const told = { workspaceId: workspace.id, clientId: client.id, id, notificationToken }
  const sealed = keyring.seal(JSON.stringify(told), task)
  return enqueue(trx, task, { sealed }, { runAt: new Date(clock.now().getTime() + 1_000), maxAttempts: 5 })
}

const pinged = z.object({
  workspaceId: z.string(),
  clientId: z.string(),
  id: z.string(),
  notificationToken: z.string(),
})

/** Sends a ping; what throws is tried again, for some minutes. A client that does not take it asks by itself. */
export const pingClient =
  ({ db, fetch, keyring }: Services) =>
  async (payload: unknown): Promise<void> => {
    const { sealed } = z.object({ sealed: z.string() }).parse(payload)
    const { workspaceId, clientId, id, notificationToken } = pinged.parse(JSON.parse(keyring.open(sealed, task)))
    const client = await clients.find(db, workspaceId, clientId)
    const endpoint = client?.metadata.backchannel_client_notification_endpoint
    if (client?.status !== 'active' || endpoint === undefined) return
    const headers = { Authorization: `Bearer ${notificationToken}`, 'Content-Type': 'application/json' }
    const { status } = await fetch(endpoint, {
      method: 'POST',
      headers,
      body: JSON.stringify({ auth_req_id: id }),
      maxBytes: 4096,
    })
    // Section 10.2: no redirect is followed, and 401 and the like are for the client to repair.
    if (status >= 500) throw new Error(`a client's notification endpoint answered ${status}`)
  }

/** Takes the pings away from the engine, which would send them while a person waits. */
export const pingByOutbox = ({ Client }: Provider): void => {
  const { prototype } = Client as unknown as { prototype: { backchannelPing: () => Promise<void> } }
  prototype.backchannelPing = async () => {}
}
