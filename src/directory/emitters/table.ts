import type { ExportedUser } from '../exports.ts'

/** A user in the columns that an import reads. */
export type ExportedRow = Record<string, unknown>

/** Somebody as a row; several of a kind stand in one column. */
export const rowOf = ({ user, roles, passwordHash }: ExportedUser): ExportedRow => {
  const { identifiers, status, groups, externalId, profile, metadata } = user
  const of = (wanted: string) => identifiers.filter(({ kind }) => kind === wanted)
  const [emails, mobiles, usernames] = [of('email'), of('mobile'), of('username')]
  const text = (known: typeof identifiers) => known.map(({ value }) => value).join(';')
  return {
    ...(emails.length > 0 ? { email: text(emails), email_verified: emails.every(({ verified }) => verified) } : {}),
    ...(mobiles.length > 0
      ? { mobile: text(mobiles), mobile_verified: mobiles.every(({ verified }) => verified) }
      : {}),
    ...(usernames.length > 0 ? { username: text(usernames) } : {}),
    status,
    groups,
    ...(externalId === null ? {} : { external_id: externalId }),
    profile,
    metadata,
    roles,
    ...(passwordHash === undefined ? {} : { password_hash: passwordHash }),
  }
}
