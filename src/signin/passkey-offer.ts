import { hash } from 'node:crypto'
import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import type { Attempt } from './attempt.ts'
import { openConnections, type Scene } from './scene.ts'
import type { Stage } from './stage.ts'
import { partyAt } from './webauthn.ts'

/** How long nobody is asked again in a browser where they did not want to, in milliseconds. */
const patience = 90 * 24 * 60 * 60 * 1000

/** Whether the pages of an attempt may have to do with passkeys: their script is on all of them, to say what a browser can. */
export const usesPasskeys = (scene: Scene, attempt: Attempt): boolean =>
  partyAt(scene) !== undefined &&
  openConnections(scene).some(
    ({ pool: { id, settings } }) =>
      (attempt.pool === undefined || attempt.pool === id) &&
      (settings.sign_in_methods.includes('passkey') ||
        (settings.second_factor !== 'off' && settings.second_factors.includes('passkey'))),
  )

/** Whether somebody may be offered a passkey here: not where they said not now. */
export const isWelcome = ({ cookies, services }: Scene, pool: Pool, user: User): boolean =>
  cookies !== undefined && cookies.get(nameOf(services, pool, user)) === undefined

/** Goes on without a passkey, and lets this browser remember that its owner wants none for now. */
export const putOff = ({ scene, attempt, found }: Stage): Attempt => {
  const { cookies, services } = scene
  const until = new Date(services.clock.now().getTime() + patience)
  if (found && cookies) cookies.set(nameOf(services, { id: found.poolId }, found), 'later', until)
  return { ...attempt, passkeys: 'later' }
}

/** One cookie for each of the people who share a browser; its name says who only to whoever knows already. */
const nameOf = ({ config }: Scene['services'], { id }: Pick<Pool, 'id'>, user: User): string => {
  const prefix = config.publicUrl.startsWith('https:') ? '__Host-' : ''
  return `${prefix}lido_passkey_${hash('sha256', `${id} ${user.id}`).slice(0, 10)}`
}
