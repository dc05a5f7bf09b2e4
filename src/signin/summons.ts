import type { Db } from '../db/connect.ts'
import { issuerOf } from '../directory/address.ts'
import { type Identifier, readIdentifier } from '../directory/identifiers.ts'
import type { Waiting } from '../directory/migration-rounds.ts'
import { post } from '../directory/outbox.ts'
import type { Pool } from '../directory/pools.ts'
import * as tombstones from '../directory/tombstones.ts'
import * as users from '../directory/users.ts'
import { Problem } from '../platform/problem.ts'
import * as challenges from './challenges.ts'
import type { Outsider } from './outsider.ts'
import type { Scene } from './scene.ts'
import { countMail } from './sending.ts'
import { guardedSource } from './sources/guarded.ts'

/** Whom a link was sent to before they came over, and the mailbox that it went to. */
export interface Summoned {
  identifier: Identifier
  address: string
}

/**
 * Writes to somebody who has not come over: the link sets a password here and brings them over, and nothing of them is
 * kept until they follow it. Throws `too_many_requests` where their mailbox has heard enough. Needs a transaction.
 */
export const send = async (
  db: Db,
  { services, workspace, lang }: Pick<Scene, 'services' | 'workspace' | 'lang'>,
  pool: Pool,
  { kind, value, typed, address }: Waiting & { address: string },
  days: number,
): Promise<void> => {
  await countMail({ ...services, db }, pool.id, address)
  const data = { address, summoned: { kind, value, typed } }
  const lifetime = days * 86_400
  const wanted = { purpose: 'recover', boundTo: ['summons'], userId: undefined, data, link: true, lifetime } as const
  const { token } = await challenges.issue(db, services, pool, wanted)
  const link = `${issuerOf(services.config, workspace)}/recover?token=${token}`
  await post(
    db,
    { services, workspace, lang },
    { to: address, channel: 'email', template: 'set-password', values: { link, days } },
  )
}

/**
 * Who follows such a link: a user who is here by now, or whoever the source says that it is. Throws `unavailable` where
 * it does not answer: the link stays good.
 */
export const findSummoned = async (
  services: Scene['services'],
  pool: Pool,
  { identifier, address }: Summoned,
): Promise<{ userId: string } | { guest: Outsider } | undefined> => {
  const found = await users.findByIdentifier(services.db, pool.id, identifier)
  if (found && found.status !== 'new') return found.status === 'active' ? { userId: found.id } : undefined
  const { kind, value } = identifier
  // Nothing is written now, and nobody can come over: the link is good for later.
  if (pool.source?.observe) throw new Problem('unavailable')
  if (!pool.source || (await tombstones.lies(services.db, pool.id, [{ kind, value }]))) return undefined
  const answer = await guardedSource(pool, services).find({ identifier })
  if (answer.is === 'not_found' || answer.is === 'blocked') return undefined
  if (answer.is !== 'ok') throw new Problem('unavailable')
  const goes = (wanted: string) =>
    answer.user.identifiers.some(
      (one) => readIdentifier(one.typed, [one.kind], pool.settings.default_country)?.value === wanted,
    )
  return goes(value) && goes(address) ? { guest: answer.user } : undefined
}
