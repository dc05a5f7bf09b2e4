import { z } from 'zod'
import * as audit from '../../directory/audit.ts'
import * as credentials from '../../directory/credentials.ts'
import * as invitations from '../../directory/invitations.ts'
import { languageOf } from '../../directory/outbox.ts'
import type { Pool } from '../../directory/pools.ts'
import * as tombstones from '../../directory/tombstones.ts'
import * as changes from '../../directory/user-changes.ts'
import * as records from '../../directory/user-records.ts'
import { Problem } from '../../platform/problem.ts'
import * as challenges from '../../signin/challenges.ts'
import { byOf, demand } from '../access.ts'
import { patchedBy } from '../check.ts'
import {
  checkAgainst,
  checkPassword,
  checkPromise,
  getChangeable,
  getRecord,
  nameOf,
  promised,
  readIdentifiers,
  refuse,
  refuseKeptElsewhere,
  senderOf,
} from '../people.ts'
import { checkMatch, etagOf, getPool } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'
import { fields, kind, shownUser, userOf, writtenOf } from '../user-shown.ts'

const identifier = z.strictObject({
  type: kind,
  value: z.string().min(1).max(320),
  verified: z.boolean().default(false).describe('Whether it is known to be theirs'),
})
const identifiers = z.array(identifier).min(1).max(20)

const told = {
  identifiers,
  profile: fields.default({}).describe('Checked by the user_schema of the pool'),
  metadata: fields.default({}).describe('Checked by the metadata_schema of the pool; never shown to the user'),
  groups: z.array(z.uuid()).max(100).default([]).describe('Ids of the groups to be in'),
  ...promised,
}

const written = z.discriminatedUnion('mode', [
  z.strictObject({
    mode: z.literal('invite').describe('A message with a link and a code goes out; the user registers through it'),
    ...told,
    workspace: z.string().optional().describe('Slug or id of the workspace that invites; the first one if absent'),
  }),
  z.strictObject({
    mode: z.literal('set_credentials').describe('The user is active at once'),
    ...told,
    password: z.string(),
    must_change: z.boolean().default(false).describe('Whether the password only leads on to a new one'),
  }),
])

const patched = z.strictObject({
  status: z.enum(['new', 'active', 'inactive']),
  identifiers,
  profile: fields.default({}),
  metadata: fields.default({}),
})

const ofPool = z.strictObject({ pool: z.string().describe('Slug or id') })
const oneUser = z.strictObject({ ...ofPool.shape, id: z.uuid() })

export const userRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/pools/{pool}/users',
    name: 'createUser',
    summary: 'Make a user, by invitation or with a password',
    scope: 'users:write',
    params: ofPool,
    body: written,
    answer: shownUser,
    status: 201,
    async handle(call) {
      const pool = await getPool(call, call.params.pool)
      if (call.body.groups.length > 0) demand(call.actor, 'groups:write')
      await checkPromise(call, pool, call.body)
      await checkAgainst(pool, call.body)
      const known = readIdentifiers(pool, call.body.identifiers)
      const user = await (call.body.mode === 'invite'
        ? invite(call, pool, known, call.body)
        : setCredentials(call, pool, known, call.body))
      return { body: userOf(user), etag: etagOf(user), location: `/pools/${pool.slug}/users/${user.id}` }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/users/{id}',
    name: 'getUser',
    summary: 'Read a user',
    scope: 'users:read',
    params: oneUser,
    answer: shownUser,
    status: 200,
    async handle(call) {
      const { user } = await getRecord(call)
      return { body: userOf(user), etag: etagOf(user) }
    },
  }),
  route({
    method: 'PATCH',
    path: '/pools/{pool}/users/{id}',
    name: 'updateUser',
    summary: 'Change a user; whoever is made inactive is signed out everywhere',
    scope: 'users:write',
    params: oneUser,
    body: patched,
    answer: shownUser,
    status: 200,
    async handle(call) {
      const { pool, user } = await getChangeable(call)
      const { services, actor, at, ifMatch, body } = call
      const changed = await services.db.transaction().execute(async (trx) => {
        const before = await records.findForUpdate(trx, pool.id, user.id)
        if (!before || before.status === 'deleted') throw new Problem('not_found')
        checkMatch(ifMatch, before)
        const told = ['identifiers', 'profile', 'metadata'].filter((field) => body[field] !== undefined)
        if (told.length > 0) refuseKeptElsewhere(pool, before, told.join(', '))
        const wanted = patchedBy(patched, writtenOf(before), body)
        if (wanted.status === 'new' && before.status !== 'new')
          throw refuse([{ pointer: '/status', detail: 'Nobody becomes new again' }])
        await checkAgainst(pool, wanted)
        const known = readIdentifiers(pool, wanted.identifiers)
        const after = await changes.update(trx, at, before, { ...wanted, identifiers: known }, byOf(actor))
        // A code on its way to an address that is not theirs any more must not let anybody in.
        if (body.identifiers !== undefined || after.status === 'inactive')
          await challenges.endAll(trx, at, pool.id, user.id)
        return after
      })
      return { body: userOf(changed), etag: etagOf(changed) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/users/{id}',
    name: 'deleteUser',
    summary: 'Delete a user for good; a tombstone keeps the id from ever being used again',
    scope: 'users:write',
    params: oneUser,
    status: 204,
    async handle(call) {
      const { pool, user } = await getChangeable(call)
      const { services, actor, at } = call
      await services.db.transaction().execute(async (trx) => {
        const before = await records.findForUpdate(trx, pool.id, user.id)
        if (!before || before.status === 'deleted') throw new Problem('not_found')
        await changes.remove(trx, at, before, byOf(actor))
        await challenges.endAll(trx, at, pool.id, user.id)
      })
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/users/{id}/tombstone',
    name: 'liftTombstone',
    summary: 'Let somebody who was deleted come back from where the pool’s people live, as a new user',
    scope: 'users:write',
    params: oneUser,
    status: 204,
    async handle(call) {
      const { pool, user } = await getRecord(call)
      const { services, actor, at } = call
      await services.db.transaction().execute(async (trx) => {
        if (!(await tombstones.lift(trx, pool.id, user.id))) throw new Problem('not_found')
        const about = { poolId: pool.id, userId: user.id }
        await audit.record(trx, at, about, { type: 'user.tombstone_lifted', data: { by: byOf(actor) } })
      })
    },
  }),
]

type Known = ReturnType<typeof readIdentifiers>
type Written = z.output<typeof written>
type Maker = Call<unknown, unknown, unknown>

const invite = async (
  call: Maker,
  pool: Pool,
  identifiers: Known,
  { profile, metadata, groups, roles, tenant, workspace: named }: Extract<Written, { mode: 'invite' }>,
) => {
  const { services, actor, at } = call
  const identifier = identifiers.find(({ kind }) => kind === 'email')
  if (!identifier) throw refuse([{ pointer: '/identifiers', detail: 'An invitation needs an email address' }])
  const workspace = await senderOf(call, pool, named)
  const inviter = await nameOf(call)
  return services.db.transaction().execute(async (trx) => {
    const by = byOf(actor)
    const made = { status: 'new', identifiers, profile, metadata, groups, promised: { roles, tenant } } as const
    const id = await changes.make(trx, at, pool.id, made, by)
    const offer = { profile: {}, groups: [], message: null, client_id: null, return_to: null, hours: 72 }
    const wanted = { ...offer, identifier, inviter, lang: languageOf(profile, workspace) }
    await invitations.create(trx, at, { services, workspace }, pool.id, wanted, by)
    return getMade(trx, pool, id)
  })
}

const setCredentials = async (
  { services, actor, at }: Maker,
  pool: Pool,
  identifiers: Known,
  { profile, metadata, groups, roles, tenant, password, must_change }: Extract<Written, { mode: 'set_credentials' }>,
) => {
  await checkPassword(services, pool, password, { profile, names: identifiers.map(({ value }) => value) })
  const hash = await services.passwords.hash(password)
  return services.db.transaction().execute(async (trx) => {
    const made = { status: 'active', identifiers, profile, metadata, groups, promised: { roles, tenant } } as const
    const id = await changes.make(trx, at, pool.id, made, byOf(actor))
    await credentials.setPassword(trx, at, pool.id, id, hash, { mustChange: must_change })
    return getMade(trx, pool, id)
  })
}

const getMade = async (db: Parameters<typeof records.find>[0], pool: Pool, id: string): Promise<records.UserRecord> => {
  const user = await records.find(db, pool.id, id)
  if (!user) throw new Problem('not_found')
  return user
}
