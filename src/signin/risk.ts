import type { Place } from '../db/hot.ts'
import type { Spot } from '../platform/geoip.ts'

/** What is known of a sign-in, from our own records. */
export interface Facts {
  /** Milliseconds. */
  at: number
  /** Whether they have signed in with this browser before; undefined at a door that knows no browsers. */
  device: boolean | undefined
  /** Whether they have never signed in before. */
  first: boolean
  /** What was proven. */
  proven: 'passkey' | 'mailbox' | 'other'
  /** Undefined for an address from inside. */
  network: string | undefined
  spot: Spot | undefined
  /** Where they signed in from within 90 days, the latest first. */
  places: readonly Place[]
  /** Recent failures: of the account, and of how many accounts from this network. */
  failures: { account: number; network: number }
  /** Whether the password is known from a leak. */
  breached: boolean
}

export const levels = ['low', 'medium', 'high'] as const
export type Level = (typeof levels)[number]

export interface Risk {
  level: Level
  /** What was seen, those that lower the risk included. */
  reasons: Reason[]
}

// What each is worth. 20 make a risk medium, 60 high.
const weights = {
  new_device: 20,
  new_network: 10,
  new_country: 25,
  impossible_travel: 50,
  account_failures: 20,
  network_failures: 30,
  breached_password: 30,
  known_device: -20,
  passkey: -40,
  mailbox: -20,
} as const
export type Reason = keyof typeof weights

const [medium, high] = [20, 60]

/** How much a sign-in looks like somebody else's, and why. Pure; docs/risk.md has the table. */
export const riskOf = (facts: Facts): Risk => {
  const raised = Object.entries(raising(facts)).flatMap(([reason, is]) => (is ? [reason as Reason] : []))
  if (raised.length === 0) return { level: 'low', reasons: [] }
  const lowered: Reason[] = [
    ...(facts.device ? (['known_device'] as const) : []),
    ...(facts.proven === 'other' ? [] : [facts.proven]),
  ]
  const reasons = [...raised, ...lowered]
  const points = reasons.reduce((sum, reason) => sum + weights[reason], 0)
  return { level: points >= high ? 'high' : points >= medium ? 'medium' : 'low', reasons }
}

/** Whoever signs in for the first time has nowhere to be expected; whoever is known of nowhere is new nowhere. */
const raising = (facts: Facts) => ({
  new_device: facts.device === false && !facts.first,
  new_network: newPlace(facts) === 'network',
  new_country: newPlace(facts) === 'country',
  impossible_travel: isImpossible(facts),
  account_failures: facts.failures.account >= 5,
  network_failures: facts.failures.network >= 20,
  breached_password: facts.breached,
})

const newPlace = ({ network, spot, places }: Facts): 'network' | 'country' | undefined => {
  if (network === undefined || places.length === 0 || places.some((place) => place.network === network))
    return undefined
  const countries = places.flatMap(({ country }) => country ?? [])
  return spot && countries.length > 0 && !countries.includes(spot.country) ? 'country' : 'network'
}

/** Faster than an airliner, over more than what a database of addresses is wrong by. */
const fastest = 900
const nearest = 300

const isImpossible = ({ at, network, spot, places: [last] }: Facts): boolean => {
  if (!last || !spot || last.network === network) return false
  const kilometres = distance(spot, last)
  const hours = Math.max(0, at - Date.parse(last.at)) / 3_600_000
  return kilometres !== undefined && kilometres > nearest && kilometres > fastest * hours
}

interface Degrees {
  latitude?: number | null
  longitude?: number | null
}

/** Kilometres along a great circle (haversine); undefined where either end has no degrees. */
const distance = (from: Degrees, to: Degrees): number | undefined => {
  const [north, east, otherNorth, otherEast] = [from.latitude, from.longitude, to.latitude, to.longitude]
  if (north == null || east == null || otherNorth == null || otherEast == null) return undefined
  const [latitude, other] = [radians(north), radians(otherNorth)]
  const half = (angle: number) => Math.sin(angle / 2) ** 2
  const chord = half(other - latitude) + Math.cos(latitude) * Math.cos(other) * half(radians(otherEast - east))
  return 2 * 6371 * Math.asin(Math.min(1, Math.sqrt(chord)))
}

const radians = (degrees: number): number => (degrees * Math.PI) / 180
