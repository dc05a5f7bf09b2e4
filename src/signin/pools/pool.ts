import type { Identifier } from '../../directory/identifiers.ts'
import type { PoolUpstream } from '../../directory/pool-upstream.ts'
import type { User } from '../../directory/users.ts'
import type { Outsider } from '../outsider.ts'
import type { OpenUpstream, Renewed } from '../upstreams/upstream.ts'
import type { Welcomed } from './welcome.ts'

/** Someone who may yet prove who they are. */
export interface Known {
  is: 'user'
  identifier: Identifier
  user: User
}

/** Someone whom only the pool's source knows: they become a user with their first proof, and not before. */
export interface Guest {
  is: 'guest'
  identifier: Identifier
  outsider: Outsider
}

/**
 * A stranger meets the same pages and words as everyone; no proof of theirs succeeds, and no type lets them in. Who is
 * `barred` is known here and may not come in: nobody else is asked about them.
 */
export interface Stranger {
  is: 'stranger'
  identifier: Identifier
  barred?: boolean
}

export type Subject = Known | Guest | Stranger

/** What a proof brought along. Never a password: its hash, at most. */
export interface Evidence {
  passwordHash?: string | undefined
  /** The password was set by somebody else, and only leads on to a new one. */
  mustChange?: boolean | undefined
  /** Somebody who comes from outside with this proof; `settle` makes them a user. It is never stored. */
  arrival?: Arrival | undefined
}

/** Who comes from outside, and what of theirs was proven here. */
export interface Arrival {
  outsider: Outsider
  /** The address that a code of ours went to. */
  proven?: string | undefined
  passwordHash?: string | undefined
  mustChange?: boolean | undefined
  secondFactorDue?: boolean | undefined
  /** Whether what was proven is what somebody stored who was first: the password, by its hash. */
  fits?(hash: string): Promise<boolean>
}

/** Why a proof was not taken although nothing was wrong with it. */
export type Closed =
  /** Whoever knows the password does not answer now: it counts as no failure. */
  | 'unavailable'
  /** A new password is to be set where the account lives. */
  | 'elsewhere'

/** What a pool says of a password; `why` is for events, and never shown. */
export type Checked =
  | { is: 'right'; evidence: Evidence }
  | { is: 'wrong'; why?: string }
  | { is: 'closed'; why: Closed }

/** What sign-in asks of a pool whose people prove who they are on our pages. No other code asks which kind it is. */
export interface HomePool {
  /**
   * `found` is whoever of the pool goes by the identifier, as it was read with the attempt; `guest` whom the pool's source
   * knows, where the attempt has asked. Nothing is asked here.
   */
  identify(identifier: Identifier, found: User | undefined, guest?: Outsider): Promise<Subject>
  /**
   * Asks who somebody is before a message may go to them, where nobody here goes by the identifier. The answer takes as
   * long for everybody. Undefined where nobody is known, or nothing could be heard. `ip` is the person's who asks.
   */
  seek(identifier: Identifier, found: User | undefined, ip: string): Promise<Outsider | undefined>
  /** `ip` is the person's. */
  checkPassword(subject: Subject, password: string, ip: string): Promise<Checked>
  /**
   * Whether whoever knows the passwords of some people of the pool does not answer now. No refused password says then
   * whose it is: of somebody who is known here, who is known there, or of nobody.
   */
  isAway?(): boolean
  /** The user whom a right proof is of, made or brought up to date where they come from outside; undefined where they may not. */
  settle(subject: Subject, evidence: Evidence): Promise<User | undefined>
  /** Lets someone in whose proofs are enough, and keeps what the proofs brought along. */
  admit(known: Known, evidence: Evidence): Promise<User>
}

/** What sign-in asks of a pool whose people prove elsewhere who they are, and come back with it. */
export interface AwayPool extends HomePool, OpenUpstream {
  at: 'away'
  upstream: PoolUpstream
  renew(renewal: unknown): Promise<Renewed>
  /** The user whom an upstream's word is of, made or brought up to date; nothing else ever tells who somebody is. */
  welcome(outsider: Outsider): Promise<Welcomed>
}
