import { hash } from 'node:crypto'
import { z } from 'zod'
import * as audit from '../directory/audit.ts'
import * as credentials from '../directory/credentials.ts'
import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import { equal, randomToken, sha256 } from '../platform/secrets.ts'
import type { Scene } from './scene.ts'

const device = z.object({ hash: z.string(), era: z.number(), at: z.iso.datetime() })

const days = 24 * 60 * 60 * 1000

/**
 * Whether this browser was remembered for this user of this pool, and still is: a shorter setting counts at once, and a
 * reset password or a sign-out everywhere forgets every browser. It is never a factor: it only saves being asked.
 */
export const isRemembered = ({ services, cookies }: Scene, pool: Pool, user: User): boolean => {
  const token = cookies?.get(nameOf(services, pool, user))
  if (!token) return false
  const since = services.clock.now().getTime() - pool.settings.remember_device_days * days
  const presented = sha256(token)
  return user.credentials.some(({ kind, data }) => {
    const read = kind === 'device' ? device.safeParse(data) : undefined
    if (!read?.success || read.data.era !== user.era || Date.parse(read.data.at) <= since) return false
    return equal(read.data.hash, presented)
  })
}

/** Remembers this browser for as long as the pool says. */
export const remember = async (
  { services, workspace, client, cookies, work }: Scene,
  pool: Pool,
  user: User,
): Promise<void> => {
  const lasting = pool.settings.remember_device_days * days
  if (!cookies || lasting === 0) return
  const at = services.clock.now()
  const token = randomToken()
  const kept = { hash: sha256(token), era: user.era, forgetBefore: new Date(at.getTime() - lasting) }
  await credentials.addDevice(services.db, at, pool.id, user.id, kept)
  cookies.set(nameOf(services, pool, user), token, new Date(at.getTime() + lasting))
  const about = { workspaceId: workspace.id, poolId: pool.id, userId: user.id, clientId: client?.id }
  const data = { by: { kind: 'person', id: user.id }, kind: 'device' } as const
  work.events.push(audit.event(at, about, { type: 'user.credential_added', data }))
}

/** One cookie for each of the people who share a browser; its name says who only to whoever knows already. */
const nameOf = ({ config }: Scene['services'], { id }: Pool, user: User): string => {
  const prefix = config.publicUrl.startsWith('https:') ? '__Host-' : ''
  return `${prefix}lido_device_${hash('sha256', `${id} ${user.id}`).slice(0, 10)}`
}
