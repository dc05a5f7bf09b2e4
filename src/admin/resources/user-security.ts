import { z } from 'zod'
import { emptyWork } from '../../db/work.ts'
import * as audit from '../../directory/audit.ts'
import * as credentials from '../../directory/credentials.ts'
import * as invitations from '../../directory/invitations.ts'
import * as links from '../../directory/links.ts'
import { languageOf } from '../../directory/outbox.ts'
import { passwordPolicyOf } from '../../directory/pool-settings.ts'
import { findHome, type Pool } from '../../directory/pools.ts'
import * as records from '../../directory/user-records.ts'
import * as users from '../../directory/users.ts'
import * as workspaces from '../../directory/workspaces.ts'
import { Problem } from '../../platform/problem.ts'
import * as challenges from '../../signin/challenges.ts'
import { forgive, windowMinutes } from '../../signin/limits.ts'
import { changePassword } from '../../signin/password-change.ts'
import * as recovery from '../../signin/recovery.ts'
import type { Scene } from '../../signin/scene.ts'
import { countMail } from '../../signin/sending.ts'
import { hasOwnWay } from '../../signin/ways.ts'
import { byOf } from '../access.ts'
import {
  checkPassword,
  demandPasswords,
  getChangeable,
  getRecord,
  inEnglish,
  nameOf,
  refuse,
  refuseKeptElsewhere,
  senderOf,
} from '../people.ts'
import { getWorkspace } from '../reach.ts'
import { listOf, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const oneUser = z.strictObject({ pool: z.string().describe('Slug or id'), id: z.uuid() })
const from = z.strictObject({
  workspace: z.string().optional().describe('Slug or id of the workspace that sends; the first one if absent'),
})

const credential = z.strictObject({
  id: z.uuid(),
  type: z.string(),
  created_at: z.iso.datetime(),
  used_at: z.iso.datetime().nullable(),
})

export const userSecurityRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/pools/{pool}/users/{id}/activation',
    name: 'sendActivation',
    summary: 'Send the activation or invitation again; the link and the code before it are dead',
    scope: 'users:write',
    params: oneUser,
    query: from,
    status: 202,
    async handle(call) {
      const { services, actor, at } = call
      const { pool, user } = await getChangeable(call)
      const account = await users.findById(services.db, user.id)
      const identifier = account?.identifiers.find(({ kind }) => kind === 'email')
      if (user.status !== 'new' || !identifier)
        throw new Problem('conflict', { detail: 'Only a new user with an email address can be activated.' })
      const open = await invitations.findOpen(services.db, at, pool.id, identifier)
      const workspace = open
        ? await getWorkspace(call, open.workspaceId)
        : await senderOf(call, pool, call.query.workspace)
      const inviter = await nameOf(call)
      await countMail(services, pool.id, identifier.value)
      await services.db.transaction().execute(async (trx) => {
        const by = byOf(actor)
        const sender = { services, workspace }
        if (open) return invitations.renew(trx, at, sender, open, by)
        const offer = { profile: {}, groups: [], message: null, client_id: null, return_to: null, hours: 72 }
        const wanted = { ...offer, identifier, inviter, lang: languageOf(user.profile, workspace) }
        return invitations.create(trx, at, sender, pool.id, wanted, by)
      })
    },
  }),
  route({
    method: 'PUT',
    path: '/pools/{pool}/users/{id}/password',
    name: 'setPassword',
    summary: 'Set a password; every session of the user ends',
    scope: 'users:write',
    params: oneUser,
    body: z.strictObject({
      password: z.string(),
      must_change: z.boolean().default(false).describe('Whether the password only leads on to a new one'),
    }),
    status: 204,
    async handle(call) {
      const { services, actor, at, body } = call
      const { pool, user } = await getChangeable(call)
      refuseKeptElsewhere(pool, user, 'the password')
      const names = user.identifiers.map(({ value }) => value)
      await checkPassword(services, pool, body.password, { profile: user.profile, names })
      const hash = await services.passwords.hash(body.password)
      await services.db.transaction().execute(async (trx) => {
        const { history } = passwordPolicyOf(pool.settings)
        const kept = { mustChange: body.must_change, history }
        await credentials.setPassword(trx, at, pool.id, user.id, hash, kept)
        await users.takeOver(trx, at, pool.id, user.id)
        await users.endEverything(trx, pool.id, user.id)
        await challenges.endAll(trx, at, pool.id, user.id)
        await forgive(trx, pool.id, user.id)
        const data = { by: byOf(actor), must_change: body.must_change }
        await audit.record(trx, at, { poolId: pool.id, userId: user.id }, { type: 'user.password_set', data })
      })
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/users/{id}/password/change',
    name: 'changePassword',
    summary: 'Change a password with the old one, as the user asks; every session of the user ends',
    scope: 'users:write',
    params: oneUser,
    body: z.strictObject({ old_password: z.string(), new_password: z.string() }),
    status: 204,
    async handle(call) {
      const { services, actor, body } = call
      const { pool, user } = await getChangeable(call)
      refuseKeptElsewhere(pool, user, 'the password')
      demandPasswords(pool, '/new_password')
      const account = await users.findById(services.db, user.id)
      if (!account) throw new Problem('not_found')
      const home = await findHome(services.db, pool.id, actor.workspaces)
      const workspace = home === undefined ? undefined : await getWorkspace(call, home)
      const asked = { oldPassword: body.old_password, newPassword: body.new_password, warned: true }
      const around = { by: byOf(actor), workspace, lang: languageOf(user.profile, workspace) }
      const outcome = await changePassword(services, pool, account, asked, around)
      if (outcome === 'too-many') throw new Problem('too_many_requests', { retryAfter: windowMinutes('account') * 60 })
      if (outcome === 'wrong') throw refuse([{ pointer: '/old_password', detail: 'This is not the password' }])
      if (outcome !== 'done') throw refuse([{ pointer: '/new_password', detail: inEnglish(outcome.weak) }])
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/users/{id}/password/reset',
    name: 'sendPasswordReset',
    summary: 'Send a link by which the user sets a new password',
    scope: 'users:write',
    params: oneUser,
    query: from,
    status: 202,
    async handle(call) {
      const { services, actor, at } = call
      const { pool, user } = await getChangeable(call)
      refuseKeptElsewhere(pool, user, 'the password')
      const workspace = await senderOf(call, pool, call.query.workspace)
      const account = await users.findById(services.db, user.id)
      const scene = { services, workspace, lang: languageOf(user.profile, workspace) }
      await services.db.transaction().execute(async (trx) => {
        if (!account || !(await recovery.sendLink(trx, scene, pool, account)))
          throw new Problem('conflict', { detail: 'Only an active user with an email address can get a link.' })
        const about = { workspaceId: workspace.id, poolId: pool.id, userId: user.id }
        await audit.record(trx, at, about, { type: 'user.password_reset_sent', data: { by: byOf(actor) } })
      })
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/users/{id}/credentials',
    name: 'listCredentials',
    summary: 'List what a user can prove themselves with',
    scope: 'users:read',
    params: oneUser,
    answer: listOf(credential),
    status: 200,
    async handle(call) {
      const { pool, user } = await getRecord(call)
      const rows = await credentials.list(call.services.db, pool.id, user.id)
      const items = rows.map(({ id, kind, createdAt, usedAt }) => ({
        id,
        type: kind,
        created_at: createdAt.toISOString(),
        used_at: usedAt?.toISOString() ?? null,
      }))
      return { body: { items, next_cursor: null } }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/users/{id}/links',
    name: 'listLinks',
    summary: 'List the identities of federated pools that also let a user in',
    scope: 'users:read',
    params: oneUser,
    answer: listOf(
      z.strictObject({
        pool: z.string().describe('Slug of the federated pool'),
        pool_name: z.string(),
        label: z.string().describe('What they are called there, for people to read'),
        linked_at: z.iso.datetime(),
      }),
    ),
    status: 200,
    async handle(call) {
      const { pool, user } = await getRecord(call)
      const rows = await links.listNamed(call.services.db, pool.id, user.id)
      const items = rows.map(({ slug, name, label, linkedAt }) => ({
        ...{ pool: slug, pool_name: name, label },
        linked_at: linkedAt.toISOString(),
      }))
      return { body: { items, next_cursor: null } }
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/users/{id}/links/{link}',
    name: 'deleteLink',
    summary: 'Take a linked identity away; every session of the user ends',
    scope: 'users:write',
    params: oneUser.extend({ link: z.string().describe('Slug or id of the federated pool, as `listLinks` has it') }),
    query: z.strictObject({
      confirm: z
        .enum(['true', 'false'])
        .default('false')
        .describe('Also where it is their last way to sign in: yes, that is meant'),
    }),
    status: 204,
    async handle(call) {
      const { params, query } = call
      const { pool, user } = await getChangeable(call)
      const scene = await sceneOf(call, pool)
      await inTransaction(call, async (trx, at, by) => {
        await records.findForUpdate(trx, pool.id, user.id)
        const held = await links.listNamed(trx, pool.id, user.id)
        const link = held.find(({ slug, poolId }) => slug === params.link || poolId === params.link)
        const account = await users.findById(trx, user.id)
        if (!link || !account) throw new Problem('not_found')
        const isLast = held.length === 1 && scene !== undefined && !hasOwnWay(scene, pool, account)
        if (isLast && query.confirm === 'false')
          throw new Problem('conflict', {
            detail:
              'It is the only way by which this user can sign in. To take it away all the same, add ?confirm=true.',
          })
        const cut = { homePoolId: pool.id, userId: user.id, poolId: link.poolId }
        await links.remove(trx, at, cut, { name: link.name, by })
        await users.endEverything(trx, pool.id, user.id)
      })
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/users/{id}/credentials/{credential}',
    name: 'deleteCredential',
    summary: 'Take a credential away; every session of the user ends',
    scope: 'users:write',
    params: oneUser.extend({ credential: z.uuid() }),
    status: 204,
    async handle(call) {
      const { services, actor, at, params } = call
      const { pool, user } = await getChangeable(call)
      await services.db.transaction().execute(async (trx) => {
        const kind = await credentials.remove(trx, pool.id, user.id, params.credential)
        if (!kind) throw new Problem('not_found')
        await users.endEverything(trx, pool.id, user.id)
        const about = { poolId: pool.id, userId: user.id }
        await audit.record(trx, at, about, { type: 'user.credential_removed', data: { by: byOf(actor), kind } })
      })
    },
  }),
]

type Asking = Parameters<typeof getRecord>[0] & { at: Date }

/**
 * Where somebody of a pool would sign in, whoever may see that workspace; undefined where the pool is connected to nothing,
 * and nobody does.
 */
const sceneOf = async ({ services, at }: Asking, { id }: Pool): Promise<Scene | undefined> => {
  const home = await findHome(services.db, id, undefined)
  const workspace = home === undefined ? undefined : await workspaces.findById(services.db, home)
  return workspace && { services, workspace, client: undefined, lang: 'en', ip: '', work: emptyWork(at) }
}
