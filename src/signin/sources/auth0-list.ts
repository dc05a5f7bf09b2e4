import { z } from 'zod'
import { unavailable } from './asking.ts'
import { type Get, perPage, quoted } from './auth0-management.ts'
import type { Auth0Settings } from './auth0-settings.ts'
import { auth0User, livesIn, outsiderOf } from './auth0-user.ts'
import type { OpenSource } from './source.ts'

type Listed = Awaited<ReturnType<NonNullable<OpenSource['list']>>>

/**
 * The next hundred users of the connection, the oldest first, without their roles (that would be a request for each).
 * A search of Auth0 ends after 1,000 users, so after those another begins with whoever was made when the last one was.
 */
export const listUsers = async (settings: Auth0Settings, get: Get, cursor: string | undefined): Promise<Listed> => {
  const at = readCursor(cursor)
  if (!at) return unavailable('The list has no such page')
  const got = await get(`users?${search(settings, at)}`, 'read:users')
  const read = got.is === 'ok' ? listed.safeParse(got.body).data : undefined
  if (!read)
    return got.is === 'ok' || got.is === 'not_found'
      ? unavailable('Auth0 answered with something else than users')
      : got
  const next = nextOf(at, read)
  if (next && 'is' in next) return next
  const users = read.filter((user) => livesIn(settings, user) && !at.seen.includes(user.user_id))
  return {
    is: 'ok',
    users: users.map((user) => outsiderOf(settings, user, [])),
    next: next && JSON.stringify(next),
  }
}

const listed = z.array(auth0User.extend({ created_at: z.string() }))

const place = z.strictObject({
  page: z.number().int().min(0).max(9),
  /** Whoever was made before was listed, and so was everybody in `seen`. */
  from: z.iso.datetime().optional(),
  seen: z.array(z.string()).default([]),
})
type Place = z.infer<typeof place>

const readCursor = (cursor: string | undefined): Place | undefined => {
  if (cursor === undefined) return { page: 0, seen: [] }
  try {
    return place.safeParse(JSON.parse(cursor)).data
  } catch {
    return undefined
  }
}

const search = ({ realm }: Auth0Settings, { page, from }: Place): URLSearchParams => {
  const where = realm === undefined ? 'identities.provider:"auth0"' : `identities.connection:${quoted(realm)}`
  return new URLSearchParams({
    search_engine: 'v3',
    q: from === undefined ? where : `${where} AND created_at:[${quoted(from)} TO *]`,
    sort: 'created_at:1',
    page: String(page),
    per_page: String(perPage),
  })
}

const nextOf = (at: Place, users: z.infer<typeof listed>): Place | undefined | ReturnType<typeof unavailable> => {
  const last = users.at(-1)
  if (!last || users.length < perPage) return undefined
  if (at.page < 9) return { ...at, page: at.page + 1 }
  if (last.created_at === at.from) return unavailable('More than 1,000 users were made in Auth0 at the same moment')
  const seen = users.filter(({ created_at }) => created_at === last.created_at).map(({ user_id }) => user_id)
  return { page: 0, from: last.created_at, seen }
}
