import { hash } from 'node:crypto'
import { z } from 'zod'
import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import { randomToken } from '../platform/secrets.ts'
import { isRemembered } from './devices.ts'
import type { Scene } from './scene.ts'

const days = 24 * 60 * 60 * 1000
const lasting = 90 * days

/** So many people who share a browser are known in it; one cookie for each would outgrow what a request may hold. */
const most = 8

const kept = z.object({
  id: z.string(),
  /** Who, in which era of theirs, and when they last signed in here (milliseconds). */
  people: z.array(z.tuple([z.string(), z.number(), z.number()])).max(most),
})
type Kept = z.infer<typeof kept>

/**
 * The name of this browser where its user has signed in with it before, in this era of theirs; undefined where not. It
 * proves nothing: whoever guesses from elsewhere does not lock it out, and its sign-ins are less of a surprise. Nothing
 * is stored for it but in the browser (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
 */
export const deviceOf = (scene: Scene, pool: Pool, user: User): string | undefined => {
  const since = scene.services.clock.now().getTime() - lasting
  const held = read(scene)
  const tag = tagOf(pool, user)
  const known = held?.people.some(([who, era, at]) => who === tag && era === user.era && at > since)
  if (known) return held?.id
  return isRemembered(scene, pool, user) ? 'remembered' : undefined
}

/** Keeps in this browser that somebody signed in with it, or set a new password by a code of their mailbox. */
export const knowDevice = (scene: Scene, pool: Pick<Pool, 'id'>, user: Pick<User, 'id' | 'era'>): void => {
  const { services, cookies } = scene
  if (!cookies) return
  const { id, people } = read(scene) ?? { id: randomToken(16), people: [] }
  const tag = tagOf(pool, user)
  const now = services.clock.now().getTime()
  const next: Kept = { id, people: [[tag, user.era, now], ...people.filter(([who]) => who !== tag)] }
  next.people.splice(most)
  cookies.set(nameOf(scene), services.keyring.seal(JSON.stringify(next), context), new Date(now + lasting))
}

const context = 'known device'

const read = (scene: Scene): Kept | undefined => {
  const sealed = scene.cookies?.get(nameOf(scene))
  if (!sealed) return undefined
  try {
    return kept.parse(JSON.parse(scene.services.keyring.open(sealed, context)))
  } catch {
    return undefined
  }
}

const nameOf = ({ services }: Scene): string =>
  `${services.config.publicUrl.startsWith('https:') ? '__Host-' : ''}lido_known`

const tagOf = ({ id }: Pick<Pool, 'id'>, user: Pick<User, 'id'>): string =>
  hash('sha256', `${id} ${user.id}`, 'base64url').slice(0, 16)
