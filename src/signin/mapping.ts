import { type OutsideMapping, readPath } from '../directory/outside-mapping.ts'
import type { PoolSettings } from '../directory/pool-settings.ts'
import { faultsOf } from '../directory/profiles.ts'
import type { Outsider } from './outsider.ts'

/** What an outsider becomes here, before anybody looked which roles and groups there are. */
export interface Mapped {
  profile: Record<string, unknown>
  metadata: Record<string, unknown>
  /** Names of roles outside, without those that are ignored. */
  roles: string[]
  /** Paths of groups here. */
  groups: string[]
  /** What the outside calls their tenant. */
  tenant: string | undefined
  /** How many values fit no schema of the pool, and were left out. */
  dropped: number
}

type Schemas = Pick<PoolSettings, 'user_schema' | 'metadata_schema'>

/** Reads what an outside system tells of somebody by a pool's mapping. What does not fit the pool is left out and counted. */
export const mapOutsider = async (mapping: OutsideMapping, outsider: Outsider, schemas: Schemas): Promise<Mapped> => {
  const known = Object.keys((schemas.user_schema.properties ?? {}) as object)
  const standard = Object.entries(outsider.profile).filter(([name]) => known.includes(name))
  const { roles, groups } = mapping
  return fitMapped(schemas, {
    profile: { ...Object.fromEntries(standard), ...readAll(mapping.profile, outsider.claims) },
    metadata: readAll(mapping.metadata, outsider.claims),
    roles: namesOf(roles.from, outsider.claims, outsider.roles).filter(notIgnored(roles.ignore)),
    groups: namesOf(groups.from, outsider.claims, outsider.groups)
      .filter(notIgnored(groups.ignore))
      .map((name) => (Object.hasOwn(groups.names, name) ? groups.names[name] : undefined) ?? name)
      .map((path) => (path.startsWith('/') ? path : `/${path}`)),
    tenant: outsider.tenant,
    dropped: 0,
  })
}

/** The same without what fits no schema of the pool, which is counted. */
export const fitMapped = async (schemas: Schemas, mapped: Mapped): Promise<Mapped> => {
  const profile = await fit(schemas.user_schema, mapped.profile)
  const metadata = await fit(schemas.metadata_schema, mapped.metadata)
  const unfit = sizeOf(mapped.profile) - sizeOf(profile) + sizeOf(mapped.metadata) - sizeOf(metadata)
  return { ...mapped, profile, metadata, dropped: mapped.dropped + unfit }
}

const sizeOf = (record: object): number => Object.keys(record).length

/** Whether a name matches none of some patterns, in which `*` stands for anything. */
export const notIgnored =
  (patterns: readonly string[]): ((name: string) => boolean) =>
  (name) =>
    !patterns.some((pattern) => fits(pattern, name))

// No regular expression: with a few stars, one would try the ways to share a name out among them for minutes.
const fits = (pattern: string, name: string): boolean => {
  const [head = '', ...rest] = pattern.split('*')
  const tail = rest.pop()
  if (tail === undefined) return name === pattern
  if (!name.startsWith(head) || !name.endsWith(tail)) return false
  const end = name.length - tail.length
  let at = head.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= end
}

const readAll = (paths: Record<string, string>, claims: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(paths).flatMap(([name, path]) => {
      const value = readPath(claims, path)
      return value === undefined || value === null ? [] : [[name, value]]
    }),
  )

const mostNames = 200

const namesOf = (from: string | null, claims: Record<string, unknown>, told: readonly string[]): string[] => {
  const found = from === null ? told : [readPath(claims, from) ?? []].flat()
  const names = found.filter((name) => typeof name === 'string' && name.length > 0 && name.length <= 500) as string[]
  return [...new Set(names)].slice(0, mostNames)
}

/** What of a record fits a schema; what the schema requires and nobody told is not asked for here. */
const fit = async (schema: Record<string, unknown>, record: Record<string, unknown>): Promise<typeof record> => {
  if (sizeOf(record) === 0) return {}
  const relaxed = { ...schema, required: [] }
  const declared = new Set(Object.keys((schema.properties ?? {}) as object))
  const faults = await faultsOf(relaxed, record)
  if (faults.length === 0) return record
  const unfit = new Set(faults.map(({ property }) => property))
  // A fault of the record as a whole: what the schema does not name is the first to go.
  const keeps = ([name]: [string, unknown]) => !unfit.has(name) && (!unfit.has('') || declared.has(name))
  const rest = Object.fromEntries(Object.entries(record).filter(keeps))
  return (await faultsOf(relaxed, rest)).length === 0 ? rest : {}
}
