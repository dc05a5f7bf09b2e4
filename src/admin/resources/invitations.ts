import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as clients from '../../directory/clients.ts'
import { readIdentifier } from '../../directory/identifiers.ts'
import * as invitations from '../../directory/invitations.ts'
import { languageOf } from '../../directory/outbox.ts'
import type { Pool } from '../../directory/pools.ts'
import { faultsOf } from '../../directory/profiles.ts'
import type { Workspace } from '../../directory/workspaces.ts'
import { Problem } from '../../platform/problem.ts'
import { countMail } from '../../signin/sending.ts'
import { demand } from '../access.ts'
import { byId, listRoute } from '../list.ts'
import { checkGroups, checkParts, checkPromise, nameOf, promised, refuse, senderOf } from '../people.ts'
import { getPool, getWorkspace } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const state = z.enum(['pending', 'accepted', 'expired', 'revoked'])
const profile = z.record(z.string(), z.unknown())

const written = z.strictObject({
  workspace: z.string().optional().describe('Slug or id of the workspace that invites; the first one if absent'),
  identifier: z.string().min(1).max(320).describe('An email address'),
  profile: profile.default({}).describe('What is filled in before; the form cannot change it'),
  groups: z.array(z.uuid()).max(100).default([]).describe('Ids of the groups to be in'),
  ...promised,
  expires_in_hours: z.int().min(1).max(8760).default(72),
  message: z.string().max(1000).nullable().default(null).describe('Plain text for the mail and the page'),
  client_id: z.string().nullable().default(null).describe('The application to go on to'),
  return_to: z
    .url({ protocol: /^https?$/ })
    .max(2000)
    .nullable()
    .default(null)
    .describe('At an origin of the redirect URIs of the client, or its initiate_login_uri'),
})

const answered = z.strictObject({
  id: z.uuid(),
  state,
  workspace_id: z.uuid(),
  identifier: z.string(),
  user_id: z.uuid().nullable(),
  profile,
  groups: z.array(z.string()).describe('Ids of the groups to be in'),
  roles: z.array(z.string()).describe('Ids of the roles to have'),
  tenant: z.string().nullable(),
  message: z.string().nullable(),
  client_id: z.string().nullable(),
  return_to: z.string().nullable(),
  invited_by: z.strictObject({ kind: z.string(), id: z.string().optional(), name: z.string().optional() }),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  expires_at: z.iso.datetime(),
  accepted_at: z.iso.datetime().nullable(),
})

const ofPool = z.strictObject({ pool: z.string().describe('Slug or id') })
const oneInvitation = ofPool.extend({ id: z.uuid() })

export const invitationRoutes: Route[] = [
  listRoute({
    path: '/pools/{pool}/invitations',
    name: 'listInvitations',
    summary: 'List invitations',
    scope: 'invitations:read',
    params: ofPool,
    filters: { state: state.optional() },
    items: answered,
    async open(call) {
      const { services, actor, at, query } = call
      const { id } = await getPool(call, call.params.pool)
      const asked = { state: query.state, among: actor.workspaces && [...actor.workspaces] }
      const read = (page: Page) => invitations.list(services.db, at, id, { ...page, ...asked })
      return { list: `invitations:${id}`, read, position: byId, item: invitationOf }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/invitations',
    name: 'createInvitation',
    summary: 'Invite an address',
    scope: 'invitations:write',
    params: ofPool,
    body: written,
    answer: answered,
    status: 201,
    async handle(call) {
      const { services, actor, body } = call
      const pool = await getPool(call, call.params.pool)
      if (body.groups.length > 0) demand(actor, 'groups:write')
      const { identifier: _i, workspace: named, expires_in_hours: hours, ...told } = body
      const identifier = addressOf(pool, body.identifier)
      const workspace = await senderOf(call, pool, named)
      await checkProfile(pool, body.profile)
      await checkGroups(services.db, pool, body.groups)
      await checkPromise(call, pool, body)
      await checkWay(call, workspace, body)
      await countMail(services, pool.id, identifier.value)
      const wanted = {
        ...told,
        hours,
        identifier,
        inviter: await nameOf(call),
        lang: languageOf(body.profile, workspace),
      }
      const made = await inTransaction(call, (trx, at, by) =>
        invitations.create(trx, at, { services, workspace }, pool.id, wanted, by),
      )
      return { body: invitationOf(made), location: `/pools/${pool.slug}/invitations/${made.id}` }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/invitations/{id}',
    name: 'getInvitation',
    summary: 'Read an invitation',
    scope: 'invitations:read',
    params: oneInvitation,
    answer: answered,
    status: 200,
    async handle(call) {
      return { body: invitationOf(await getInvitation(call)) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/invitations/{id}',
    name: 'revokeInvitation',
    summary: 'Take an invitation back; its link and code are dead',
    scope: 'invitations:write',
    params: oneInvitation,
    status: 204,
    async handle(call) {
      const invitation = await getChangeable(call)
      await inTransaction(call, (trx, at, by) => invitations.revoke(trx, at, invitation, by))
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/invitations/{id}/resend',
    name: 'resendInvitation',
    summary: 'Send an invitation again with a new link and code, for its full time; the old ones are dead',
    scope: 'invitations:write',
    params: oneInvitation,
    answer: answered,
    status: 201,
    async handle(call) {
      const { services } = call
      const invitation = await getChangeable(call)
      const workspace = await getWorkspace(call, invitation.workspaceId)
      await countMail(services, invitation.poolId, invitation.identifier.value)
      const renewed = await inTransaction(call, (trx, at, by) =>
        invitations.renew(trx, at, { services, workspace }, invitation, by),
      )
      return { body: invitationOf(renewed) }
    },
  }),
]

type Asking = Call<{ pool: string; id: string }, unknown, unknown>

/** Throws `not_found` too where the invitation is of a workspace that does not exist for this actor. */
const getInvitation = async (call: Asking): Promise<invitations.Invitation> => {
  const { services, actor, at, params } = call
  const pool = await getPool(call, params.pool)
  const invitation = await invitations.find(services.db, at, pool.id, params.id)
  if (!invitation || (actor.workspaces && !actor.workspaces.has(invitation.workspaceId))) throw new Problem('not_found')
  return invitation
}

/** The same for a change: what makes somebody an operator is for whoever may change operators. Throws `forbidden`. */
const getChangeable = async (call: Asking): Promise<invitations.Invitation> => {
  const invitation = await getInvitation(call)
  if (invitation.offer.operates_as) demand(call.actor, 'operators:write')
  return invitation
}

const addressOf = ({ settings }: Pool, typed: string) => {
  const pointer = '/identifier'
  if (!settings.identifiers.includes('email'))
    throw refuse([{ pointer, detail: 'The pool does not know people by email' }])
  const identifier = readIdentifier(typed, ['email'])
  if (!identifier) throw refuse([{ pointer, detail: 'This is no email address' }])
  return identifier
}

/** What is missing is asked of the person; what is there has to fit. */
const checkProfile = async (pool: Pool, profile: Record<string, unknown>): Promise<void> => {
  const faults = await faultsOf(pool.settings.user_schema, profile)
  checkParts([{ pointer: '/profile', value: profile, faults: faults.filter(({ keyword }) => keyword !== 'required') }])
}

/** Nobody is sent from our page to where the client's people would not come from (an open redirect). */
const checkWay = async (
  { services }: Call<unknown, unknown, unknown>,
  { id }: Workspace,
  { client_id, return_to }: z.output<typeof written>,
): Promise<void> => {
  if (client_id === null) {
    if (return_to !== null)
      throw refuse([{ pointer: '/client_id', detail: 'return_to needs the client it belongs to' }])
    return
  }
  const client = await clients.find(services.db, id, client_id)
  if (client?.status !== 'active') throw refuse([{ pointer: '/client_id', detail: 'The workspace has no such client' }])
  if (return_to !== null && !invitations.mayReturn(client, return_to))
    throw refuse([{ pointer: '/return_to', detail: 'This is no address of the client' }])
}

const invitationOf = (one: invitations.Invitation): z.input<typeof answered> => ({
  id: one.id,
  state: one.state,
  workspace_id: one.workspaceId,
  identifier: one.identifier.value,
  user_id: one.userId,
  profile: one.offer.profile,
  groups: one.offer.groups,
  roles: one.offer.roles,
  tenant: one.offer.tenant,
  message: one.offer.message,
  client_id: one.offer.client_id,
  return_to: one.offer.return_to,
  invited_by: one.invitedBy,
  created_at: one.createdAt.toISOString(),
  updated_at: one.updatedAt.toISOString(),
  expires_at: one.expiresAt.toISOString(),
  accepted_at: one.acceptedAt?.toISOString() ?? null,
})
