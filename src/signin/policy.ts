import { oneFactor, reaches, type WantedAcr } from '../directory/acr.ts'
import { domainOf, type Identifier, type IdentifierKind } from '../directory/identifiers.ts'
import { type Pool, staysElsewhere } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import type { Connection } from '../directory/workspaces.ts'
import type { Attempt } from './attempt.ts'
import { isRemembered } from './devices.ts'
import { getMethod } from './methods/index.ts'
import { isWelcome } from './passkey-offer.ts'
import { isAway } from './pools/federated.ts'
import type { Subject } from './pools/pool.ts'
import { openConnections, type Scene } from './scene.ts'
import { provable } from './sending.ts'
import { acrOf, kindsOf, type Worth } from './strength.ts'
import { strongestOf } from './strongest.ts'

/** What the workspace, the client and the pool together ask of a sign-in. */
export interface Policy {
  /** The pools to choose from, by id; one is not a choice. */
  pools: string[]
  /** Whether the people of the attempt's pool prove elsewhere who they are. */
  away?: boolean
  /** Whether an email's domain may tell the pool before one is chosen. */
  homeRealm: boolean
  identifiers: IdentifierKind[]
  /** Where a number without a country's code belongs. */
  country: string | null
  methods: string[]
  registration: boolean
  /** Whether the pool asks this person for a second factor; how surely the client wants them known besides. */
  second: boolean
  acr: WantedAcr
  /** What this person could prove besides the first proof, in the pool's order, and what they could get. */
  usable: Way[]
  enrollable: Way[]
  /** Where the sign-in is doubted: what settles it, of what this person has already; with anything else none. */
  doubt?: Way[]
  /** What the operator wants done once enough was proven, where there is anything. */
  after?: { script: boolean; application: boolean } | undefined
  /** Whether this person could sign in faster with a passkey, and has none yet. */
  offersPasskey?: boolean
}

/** A method as far as it matters to what comes next. */
export interface Way extends Worth {
  name: string
  /** Whether the pool takes it as a second factor; else it is one of the first ones. */
  listed: boolean
  /** Whether something has to be sent before an answer can come. */
  sends: boolean
}

/** The policy of an attempt, given the connection of its pool once there is one, and whoever goes by its identifier. */
export const policyOf = (scene: Scene, attempt: Attempt, found?: User): Policy => {
  const open = openConnections(scene)
  const pool = connectionOf(scene, attempt)?.pool
  const kinds = pool ? pool.settings.identifiers : [...new Set(open.flatMap((one) => one.pool.settings.identifiers))]
  return {
    pools: offered(open).map((one) => one.pool.id),
    away: pool !== undefined && isAway(pool),
    homeRealm: open.some(({ domains }) => domains.length > 0),
    identifiers: kinds,
    country: (pool ?? open[0]?.pool)?.settings.default_country ?? null,
    methods: pool ? firstMethods(scene, pool, attempt) : [],
    // Whoever registers proves what they go by: a pool that knows nothing of the kind has nothing to prove.
    registration:
      pool?.settings.self_registration === true && !staysElsewhere(pool) && provable(scene.services, pool).length > 0,
    acr: scene.acr ?? { values: [oneFactor], essential: false },
    after: afterOf(connectionOf(scene, attempt)),
    ...secondStep(scene, pool, attempt, found),
  }
}

const afterOf = (connection: Connection | undefined): Policy['after'] => {
  const { script, application } = connection?.postAuthentication ?? {}
  return script || application ? { script: !!script, application: !!application } : undefined
}

/** What anybody is offered who typed this: nobody has proven anything yet, so everybody is asked as a stranger is. */
const firstMethods = (scene: Scene, pool: Pool, { identifier }: Attempt): string[] => {
  // A code or a key of ours would let in whoever their source has closed.
  const names = pool.settings.sign_in_methods.filter((name) => name === 'password' || !staysElsewhere(pool))
  if (!identifier) return names
  const subject: Subject = { is: 'stranger', identifier }
  return names.filter((name) => getMethod(name).offered({ scene, pool, subject }))
}

const nothingMore = { second: false, usable: [], enrollable: [] }

/** What is asked after the first proof, and so of somebody known. */
const secondStep = (
  scene: Scene,
  pool: Pool | undefined,
  { identifier, proofs, risk, script }: Attempt,
  found: User | undefined,
): Pick<Policy, 'second' | 'usable' | 'enrollable' | 'offersPasskey' | 'doubt'> => {
  if (!identifier || proofs.length === 0) return nothingMore
  // Whose proof it was is not known here: nothing is enough. Whoever may not come in any more is refused at the end.
  if (!pool || found?.poolId !== pool.id) return { ...nothingMore, second: true }
  if (found.status !== 'active') return nothingMore
  const { second_factor, sign_in_methods } = pool.settings
  // What the operator's script asks for is asked of everybody, whatever the pool or the browser would spare them.
  const told = script?.is === 'passed' && script.second
  const second = second_factor === 'off' && !found.secondFactorDue && !told ? [] : pool.settings.second_factors
  const at = { scene, pool, subject: { is: 'user', identifier, user: found } } as const
  const has = (name: string) => getMethod(name).offered(at)
  const isGot = (name: string) => getMethod(name).enrol !== undefined
  const due = told || second_factor === 'required' || found.secondFactorDue
  const asked = due || second.some((name) => isGot(name) && has(name))
  const remembered = asked && !told && isRemembered(scene, pool, found)
  const usable = [...new Set([...second, ...sign_in_methods])].filter(has).map((name) => wayOf(name, second))
  const mailed = has('email_code') && found.identifiers.some(({ kind, verified }) => kind === 'email' && verified)
  const stands = mailed && !usable.some(({ name }) => name === 'email_code') ? [wayOf('email_code', second)] : []
  return {
    ...(risk?.does === 'second_factor' ? { doubt: settling(proofs, [...usable, ...stands]) } : {}),
    second: asked && !remembered,
    usable,
    enrollable: second.filter((name) => isGot(name) && !has(name)).map((name) => wayOf(name, second)),
    offersPasskey:
      sign_in_methods.includes('passkey') &&
      !staysElsewhere(pool) &&
      !has('passkey') &&
      mayGetPasskey(scene, pool, proofs, found),
  }
}

/** Who was spared a factor, or came by a weaker one than they hold, has not proven enough to get another. */
const mayGetPasskey = (scene: Scene, pool: Pool, proofs: Attempt['proofs'], user: User): boolean =>
  isWelcome(scene, pool, user) && reaches(acrOf(proofs), strongestOf(scene, pool, user))

/** Who has a second factor proves that; for anybody else whatever is of another kind than their first proof has to do. */
const settling = ([first]: Attempt['proofs'], ways: Way[]): Way[] => {
  const others = ways.filter((way) => first && kindsOf([first, way]) > kindsOf([first]))
  const listed = others.filter((way) => way.listed)
  return listed.length > 0 ? listed : others
}

const wayOf = (name: string, second: readonly string[]): Way => {
  const { factors, phishingResistant = false, challenge } = getMethod(name)
  return { name, factors, phishingResistant, listed: second.includes(name), sends: challenge !== undefined }
}

/** The connection of an attempt's pool; the only one on offer where nothing had to be chosen. */
export const connectionOf = (scene: Scene, attempt: Pick<Attempt, 'pool'>): Connection | undefined => {
  const open = openConnections(scene)
  if (attempt.pool) return open.find(({ pool }) => pool.id === attempt.pool)
  const [only, ...others] = offered(open)
  return others.length === 0 ? only : undefined
}

/** What there is to choose from: a hidden connection is found by its domain, or is the only way in. */
const offered = (open: Connection[]): Connection[] => (open.length === 1 ? open : open.filter(({ hidden }) => !hidden))

/** The connection whose domains hold this address (home-realm discovery). */
export const homeRealmOf = (scene: Scene, identifier: Identifier): Connection | undefined => {
  const domain = domainOf(identifier)
  return domain === undefined ? undefined : openConnections(scene).find(({ domains }) => domains.includes(domain))
}
