import { type Acr, acrValues } from '../directory/acr.ts'
import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import { getMethod } from './methods/index.ts'
import type { Scene } from './scene.ts'
import { acrOf, type Worth } from './strength.ts'

/**
 * How surely somebody can be known at most, by all that they hold and their pool takes (ASVS 5.0, 7.5.1): by what they
 * may sign in with first, and one thing more as step.ts would ask for it.
 */
export const strongestOf = (scene: Scene, pool: Pool, user: User): Acr => {
  const { second_factor, second_factors, sign_in_methods } = pool.settings
  const [identifier] = user.identifiers.filter(({ verified }) => verified).concat(user.identifiers)
  if (!identifier) return acrOf([])
  const at = { scene, pool, subject: { is: 'user', identifier, user } } as const
  const second = new Set<string>(second_factor === 'off' && !user.secondFactorDue ? [] : second_factors)
  const has = (name: string) => getMethod(name).offered(at)
  const usable = [...new Set([...sign_in_methods, ...second])].filter(has)
  const mayFollow = (first: string, then: string) =>
    second.has(first) || second.has(then) || getMethod(then).phishingResistant === true
  const reached = sign_in_methods.filter(has).flatMap((first) => {
    const then = usable.filter((name) => mayFollow(first, name))
    return [acrOf([worthOf(first)]), ...then.map((name) => acrOf([worthOf(first), worthOf(name)]))]
  })
  return acrValues.findLast((acr) => reached.includes(acr)) ?? acrOf([])
}

const worthOf = (name: string): Worth => {
  const { factors, phishingResistant = false } = getMethod(name)
  return { factors, phishingResistant }
}
