import { z } from 'zod'
import type { IdentifierKind } from '../directory/identifiers.ts'

/** Somebody as an outside system tells of them: a pool's source, or its upstream. */
export interface Outsider {
  /** What the outside system calls them for good; never an address. */
  externalId: string
  identifiers: { kind: IdentifierKind; typed: string; verified: boolean }[]
  /** Everything that was told, under the outside system's own names, for mappings; no token and no password. */
  claims: Record<string, unknown>
  /** The standard claims of OpenID Connect Core section 5.1 that are known of them. */
  profile: Record<string, unknown>
  roles: string[]
  groups: string[]
  /** What the setting `tenant_id_field` names. */
  tenant: string | undefined
}

/** The same as it is kept between requests. */
export const outsider: z.ZodType<Outsider> = z.object({
  externalId: z.string(),
  identifiers: z.array(
    z.object({ kind: z.enum(['email', 'mobile', 'username']), typed: z.string(), verified: z.boolean() }),
  ),
  claims: z.record(z.string(), z.unknown()),
  profile: z.record(z.string(), z.unknown()),
  roles: z.array(z.string()),
  groups: z.array(z.string()),
  tenant: z.string().optional(),
}) as z.ZodType<Outsider>

// Far more than a claim has; what goes deeper exhausts the stack of whoever walks it.
const mostLevels = 100

/**
 * What the outside told without what PostgreSQL keeps in no text: the character NUL, and halves of a pair of surrogates. A
 * text that has one is left out whole, as is a field of such a name, so that no name becomes another's; and so is what is
 * more than a hundred levels deep.
 */
export const storable = <Told>(told: Told): Told => clean(told, mostLevels) as Told

const clean = (told: unknown, levels: number): unknown => {
  if (typeof told === 'string') return isKept(told) ? told : undefined
  if (levels === 0 && typeof told === 'object' && told !== null) return undefined
  if (Array.isArray(told)) return told.map((one) => clean(one, levels - 1)).filter((one) => one !== undefined)
  if (typeof told !== 'object' || told === null || Object.getPrototypeOf(told) !== Object.prototype) return told
  const kept = Object.entries(told).flatMap(([name, value]) => {
    const cleaned = clean(value, levels - 1)
    return isKept(name) && (cleaned !== undefined || value === undefined) ? [[name, cleaned]] : []
  })
  return Object.fromEntries(kept)
}

const isKept = (text: string): boolean => !text.includes('\0') && text.isWellFormed()

/** Somebody from outside with only what can be kept of them; undefined where their very name there cannot be. */
export const storableOutsider = (told: Outsider): Outsider | undefined =>
  isKept(told.externalId)
    ? { ...storable({ ...told, identifiers: [] }), identifiers: told.identifiers.filter(({ typed }) => isKept(typed)) }
    : undefined
