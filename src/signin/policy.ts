import { domainOf, type Identifier, type IdentifierKind } from '../directory/identifiers.ts'
import type { Connection } from '../directory/workspaces.ts'
import type { Attempt } from './attempt.ts'
import { openConnections, type Scene } from './scene.ts'

/** What the workspace, the client and the pool together ask of a sign-in. */
export interface Policy {
  /** The pools to choose from, by id; one is not a choice. */
  pools: string[]
  /** Whether an email's domain may tell the pool before one is chosen. */
  homeRealm: boolean
  identifiers: IdentifierKind[]
  methods: string[]
  factors: number
  registration: boolean
}

/** The policy of an attempt, given the connection of its pool once there is one. */
export const policyOf = (scene: Scene, attempt: Attempt): Policy => {
  const open = openConnections(scene)
  const pool = connectionOf(scene, attempt)?.pool
  const kinds = pool ? pool.settings.identifiers : [...new Set(open.flatMap((one) => one.pool.settings.identifiers))]
  return {
    pools: offered(open).map((one) => one.pool.id),
    homeRealm: open.some(({ domains }) => domains.length > 0),
    identifiers: kinds,
    methods: pool?.settings.sign_in_methods ?? [],
    factors: 1,
    // Whoever registers proves an email address: a pool that knows none has nothing to prove.
    registration: pool?.settings.self_registration === true && pool.settings.identifiers.includes('email'),
  }
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
