import { hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { type Identifier, type IdentifierKind, readIdentifier } from './identifiers.ts'
import type { PoolSettings } from './pool-settings.ts'
import type { Pool } from './pools.ts'
import { faultsOf, tellFault } from './profiles.ts'

/** A user as far as the checks need them; what no check needs is empty. */
export interface Person {
  id: string
  status: 'active' | 'new'
  profile: Record<string, unknown>
  metadata: Record<string, unknown>
  identifiers: (Identifier & { verified: boolean })[]
  /** Kinds. */
  credentials: string[]
}

/** One way in which a change of a pool can conflict with its users. */
export interface Check {
  kind: 'schema' | 'metadata_schema' | 'identifier_missing' | 'identifier_collision' | 'method'
  field: keyof PoolSettings
  needs: ('profile' | 'metadata' | 'identifiers' | 'credentials')[]
  /** Whom of some users it concerns, by id with a reason that holds no value of theirs. */
  find(db: Db, people: Person[]): Promise<Map<string, string>>
  tell(users: string): string
}

/** The checks that a change needs; none where nothing changes that users could conflict with. */
export const checksOf = (before: Pool, after: Pool): Check[] => {
  const [old, wanted] = [before.settings, after.settings]
  const changed = (field: keyof PoolSettings) => !isDeepStrictEqual(old[field], wanted[field])
  const lost = <T>(one: T[], other: T[]) => one.some((each) => !other.includes(each))
  return [
    ...(changed('user_schema') ? [schemaCheck('schema', 'user_schema', 'profile', old, wanted)] : []),
    ...(changed('metadata_schema') ? [schemaCheck('metadata_schema', 'metadata_schema', 'metadata', old, wanted)] : []),
    ...(lost(old.identifiers, wanted.identifiers) ? [missingCheck(old, wanted)] : []),
    ...(changed('identifiers') || changed('default_country') ? [misreadCheck(before.id, old, wanted)] : []),
    ...(lost(wanted.identifiers, old.identifiers) ? [twiceCheck(before.id, old, wanted)] : []),
    ...(lost(old.sign_in_methods, wanted.sign_in_methods) || lost(old.identifiers, wanted.identifiers)
      ? [methodCheck(old, wanted)]
      : []),
  ]
}

/** A check that looks at each user alone. */
const alone =
  (reasonOf: (person: Person) => string | undefined | Promise<string | undefined>): Check['find'] =>
  async (_db, people) => {
    const reasons = new Map<string, string>()
    for (const person of people) {
      const reason = await reasonOf(person)
      if (reason !== undefined) reasons.set(person.id, reason)
    }
    return reasons
  }

/** Who fits less than before: somebody who did not fit anyway is no conflict of this change. */
const schemaCheck = (
  kind: 'schema' | 'metadata_schema',
  field: 'user_schema' | 'metadata_schema',
  part: 'profile' | 'metadata',
  old: PoolSettings,
  wanted: PoolSettings,
): Check => ({
  kind,
  field,
  needs: [part],
  tell: (users) => `${users} would no longer fit the ${field}`,
  find: alone(async (person) => {
    const faults = await faultsOf(wanted[field], person[part])
    if (faults.length === 0) return undefined
    const known = new Set((await faultsOf(old[field], person[part])).map((fault) => tellFault(part, fault)))
    const fresh = faults.map((fault) => tellFault(part, fault)).filter((told) => !known.has(told))
    return fresh.length > 0 ? fresh.slice(0, 3).join('; ') : undefined
  }),
})

const missingCheck = (old: PoolSettings, wanted: PoolSettings): Check => ({
  kind: 'identifier_missing',
  field: 'identifiers',
  needs: ['identifiers'],
  tell: (users) => `${users} would have no identifier left to sign in with`,
  find: alone((person) =>
    isKnown(person, old) && !isKnown(person, wanted) ? `They go by nothing but ${kindsOf(person)}` : undefined,
  ),
})

/** Sign-in reads what is typed as one kind, in the pool's order: the username 0041791234567 may become a number. */
const misreadCheck = (poolId: string, old: PoolSettings, wanted: PoolSettings): Check => ({
  kind: 'identifier_collision',
  field: isDeepStrictEqual(old.identifiers, wanted.identifiers) ? 'default_country' : 'identifiers',
  needs: ['identifiers'],
  tell: (users) => `What ${users} sign in with would be read as something else`,
  async find(db, people) {
    const misread = people.flatMap(({ id, identifiers }) =>
      identifiers.flatMap((own) => {
        const other = readAsOther(own, wanted)
        return other && !readAsOther(own, old) ? [{ id, own, other }] : []
      }),
    )
    const owners = await findOwners(
      db,
      poolId,
      misread.map(({ other }) => other),
    )
    return new Map(
      misread.map(({ id, own, other }) => {
        const owner = owners.get(keyOf(other))
        const whose = owner !== undefined && owner !== id ? 'that somebody else goes by' : 'that nobody goes by'
        return [id, `Their ${own.kind} would be read as a ${other.kind} ${whose}`]
      }),
    )
  },
})

/**
 * Who cannot be given an identifier of a kind that is turned on, though their profile has one: somebody else goes by it,
 * or an earlier user's profile has it too. Remembers eight bytes or so of each, a million users in some tens of MB.
 */
const twiceCheck = (poolId: string, old: PoolSettings, wanted: PoolSettings): Check => {
  const kinds = wanted.identifiers.filter((kind) => !old.identifiers.includes(kind))
  const seen = new Set<number>()
  const isSecond = (told: Identifier): boolean => {
    const mark = Number.parseInt(hash('sha256', keyOf(told), 'hex').slice(0, 13), 16)
    const second = seen.has(mark)
    seen.add(mark)
    return second
  }
  return {
    kind: 'identifier_collision',
    field: 'identifiers',
    needs: ['profile'],
    tell: (users) => `${users} could not be given the ${kinds.join(' or ')} of their profile: somebody else has it too`,
    async find(db, people) {
      const told = people.flatMap(({ id, profile }) => kinds.flatMap((kind) => toldOf(profile, kind, wanted, id)))
      const owners = await findOwners(
        db,
        poolId,
        told.map(({ identifier }) => identifier),
      )
      const taken = told.filter(({ id, identifier }) => {
        const owner = owners.get(keyOf(identifier))
        return isSecond(identifier) || (owner !== undefined && owner !== id)
      })
      return new Map(taken.map(({ id, name }) => [id, `Somebody else of the pool has their profile.${name} too`]))
    },
  }
}

// OpenID Connect Core 1.0 section 5.1.
const claims: Record<IdentifierKind, string> = {
  email: 'email',
  mobile: 'phone_number',
  username: 'preferred_username',
}

const toldOf = (profile: Person['profile'], kind: IdentifierKind, { default_country }: PoolSettings, id: string) => {
  const name = claims[kind]
  const value = profile[name]
  const identifier = typeof value === 'string' ? readIdentifier(value, [kind], default_country) : undefined
  return identifier ? [{ id, name, identifier }] : []
}

const methodCheck = (old: PoolSettings, wanted: PoolSettings): Check => {
  const methods = wanted.sign_in_methods
  const removed = old.sign_in_methods.filter((name) => !methods.includes(name))
  return {
    kind: 'method',
    field: removed.length > 0 ? 'sign_in_methods' : 'identifiers',
    needs: ['identifiers', 'credentials'],
    tell: (users) => `${users} would have no way left to prove who they are`,
    find: alone((person) => {
      if (person.status !== 'active' || !isKnown(person, wanted)) return undefined
      const could = old.sign_in_methods.some((name) => canUse(name, person, old))
      const can = methods.some((name) => canUse(name, person, wanted))
      return could && !can ? `They cannot use ${methods.join(' or ')}` : undefined
    }),
  }
}

/** Whether somebody could prove themselves by a method now: by what it is sent to, else by a credential of its name. */
const canUse = (method: string, { identifiers, credentials }: Person, settings: PoolSettings): boolean => {
  const kind = addresses.get(method)
  if (!kind) return credentials.includes(method)
  // A code goes to the address that was typed, else to one that is known to be theirs.
  const typed = settings.identifiers.includes(kind)
  return identifiers.some((one) => one.kind === kind && (typed || one.verified))
}

const addresses = new Map<string, IdentifierKind>([
  ['email_code', 'email'],
  ['magic_link', 'email'],
  ['sms_code', 'mobile'],
])

const isKnown = ({ identifiers }: Person, settings: PoolSettings): boolean =>
  identifiers.some(({ kind }) => settings.identifiers.includes(kind))

const kindsOf = ({ identifiers }: Person): string => [...new Set(identifiers.map(({ kind }) => kind))].sort().join(', ')

/** What one of somebody's identifiers is taken for where they type it; undefined where it is taken for itself. */
const readAsOther = (own: Identifier, { identifiers, default_country }: PoolSettings): Identifier | undefined => {
  if (!identifiers.includes(own.kind)) return undefined
  return [own.typed, own.value]
    .flatMap((text) => readIdentifier(text, identifiers, default_country) ?? [])
    .find((read) => keyOf(read) !== keyOf(own))
}

const keyOf = ({ kind, value }: Pick<Identifier, 'kind' | 'value'>): string => `${kind}:${value}`

const findOwners = async (db: Db, poolId: string, wanted: Identifier[]): Promise<Map<string, string>> => {
  if (wanted.length === 0) return new Map()
  const { rows } = await sql<{ kind: IdentifierKind; value: string; userId: string }>`
    select n.kind, n.value, n.user_id from identifiers n
    join jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) as asked (kind text, value text)
      on asked.kind = n.kind and asked.value = n.value
    where n.pool_id = ${poolId}`.execute(db)
  return new Map(rows.map(({ userId, ...name }) => [keyOf(name), userId]))
}
