import { z } from 'zod'
import { type Identifier, type IdentifierKind, readIdentifier } from '../../directory/identifiers.ts'
import type { Outsider } from '../outsider.ts'

const name = z.string().min(1).max(255)

/** What a server of the operator's says of somebody; fields that are not named here go to the claims as they are. */
export const httpUser = z.looseObject({
  /** Theirs for good. */
  id: name,
  email: name.nullish(),
  email_verified: z.boolean().default(false),
  phone_number: name.nullish(),
  phone_number_verified: z.boolean().default(false),
  username: name.nullish(),
  profile: z.record(z.string(), z.unknown()).default({}),
  metadata: z.record(z.string(), z.unknown()).default({}),
  roles: z.array(name).max(1000).default([]),
  groups: z.array(name).max(1000).default([]),
  /** The password is right, and only good for choosing another. */
  must_change: z.boolean().default(false),
  /** The password is right, and there it would not be all. */
  mfa: z.boolean().default(false),
})
export type HttpUser = z.infer<typeof httpUser>

/** A source's setting: where such an answer names the tenant. */
export const tenantIdField = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .optional()
  .describe('The field of the answer’s metadata, or of the answer itself, that names the tenant')

export const httpPage = z.strictObject({ users: z.array(httpUser).max(1000), next: name.nullish() })

export const outsiderOf = ({ must_change, mfa, ...told }: HttpUser, tenantField: string | undefined): Outsider => ({
  externalId: told.id,
  identifiers: [
    ...named('email', told.email, told.email_verified),
    ...named('mobile', told.phone_number, told.phone_number_verified),
    ...named('username', told.username, false),
  ],
  claims: told,
  profile: told.profile,
  roles: told.roles,
  groups: told.groups,
  tenant: tenantOf(tenantField, [told.metadata, told]),
})

/** Whether somebody goes by what was asked for. */
export const isAbout = (asked: Identifier, { identifiers }: Outsider): boolean =>
  identifiers.some(({ kind, typed }) => kind === asked.kind && readIdentifier(typed, [kind])?.value === asked.value)

const named = (kind: IdentifierKind, typed: string | null | undefined, verified: boolean): Outsider['identifiers'] =>
  typed ? [{ kind, typed, verified }] : []

const tenantOf = (field: string | undefined, holders: Record<string, unknown>[]): string | undefined => {
  if (field === undefined) return undefined
  const tenant = holders.find((held) => Object.hasOwn(held, field))?.[field]
  return (typeof tenant === 'string' && tenant !== '') || typeof tenant === 'number' ? String(tenant) : undefined
}
