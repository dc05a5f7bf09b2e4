import { z } from 'zod'
import type * as records from '../directory/user-records.ts'

export const kind = z.enum(['email', 'mobile', 'username'])
export const status = z.enum(['new', 'active', 'inactive', 'deleted'])
export const fields = z.record(z.string(), z.unknown())

/** What users go by, as the API tells it. */
export const shownIdentifiers = z.array(z.strictObject({ type: kind, value: z.string(), verified: z.boolean() }))

/** A user as the API tells of them. */
export const shownUser = z.strictObject({
  id: z.uuid().describe('The `sub` of their tokens, for life'),
  status,
  authority: z.enum(['local', 'linked', 'migrated']),
  identifiers: shownIdentifiers,
  profile: fields,
  metadata: fields,
  groups: z.array(z.string()).describe('Paths'),
  roles: z.array(z.string()).describe('Keys of those they have, everywhere or in a tenant'),
  tenants: z.array(z.uuid()).describe('Ids of those they belong to'),
  source: z
    .strictObject({
      type: z.string().describe('The type of the source or upstream'),
      external_id: z.string().nullable().describe('What it calls them for good'),
      migrated_at: z.iso.datetime().nullable().describe('When they moved over for good; null while they live there'),
    })
    .nullable()
    .describe('Where they came from; null for who was made here'),
  external_id: z.string().nullable().describe('The name that another system knows them by, from an import'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  last_sign_in_at: z.iso.datetime().nullable(),
})

const shownOf = ({ kind: type, value, verified }: records.UserRecord['identifiers'][number]) => ({
  type,
  value,
  verified,
})

const sourceOf = ({ externalId, migratedAt }: records.UserRecord, type: string) => ({
  type,
  external_id: externalId,
  migrated_at: migratedAt?.toISOString() ?? null,
})

/** What of a user may be changed, as it is now. */
export const writtenOf = ({ status, identifiers, profile, metadata }: records.UserRecord) => ({
  status,
  identifiers: identifiers.map(shownOf),
  profile,
  metadata,
})

export const userOf = (user: records.UserRecord): z.input<typeof shownUser> => ({
  id: user.id,
  authority: user.authority,
  ...writtenOf(user),
  groups: user.groups,
  roles: user.roles,
  tenants: user.tenants,
  source: user.source === null ? null : sourceOf(user, user.source),
  external_id: user.externalId,
  created_at: user.createdAt.toISOString(),
  updated_at: user.updatedAt.toISOString(),
  last_sign_in_at: user.lastSignInAt?.toISOString() ?? null,
})
