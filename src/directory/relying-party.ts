import { isIP } from 'node:net'
import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'

const host = z.string().regex(/^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/)
const origin = z.string().refine((text) => originOf(text) === text, 'Give an origin, such as https://login.example.org')

/** A workspace's settings for passkeys; null and nothing where PUBLIC_URL says it all. */
export const passkeySettings = z.strictObject({
  rp_id: host
    .nullable()
    .default(null)
    .describe(
      'The domain that passkeys belong to (RP ID): the host of PUBLIC_URL, or one above it; null for that host',
    ),
  origins: z
    .array(origin)
    .max(20)
    .default([])
    .describe('Where passkeys may be used besides PUBLIC_URL: origins at the RP ID or below it'),
  related_origins: z
    .array(origin)
    .max(20)
    .default([])
    .describe('Origins elsewhere that may use them too; the RP ID has to list them at /.well-known/webauthn'),
})
export type PasskeySettings = z.infer<typeof passkeySettings>

interface Where {
  publicUrl: string
  env: 'production' | 'development' | 'test'
}

/** What passkeys are made for, and the only origins that they are taken from; undefined where no browser would take it. */
export const partyOf = (
  { rp_id, origins, related_origins }: PasskeySettings,
  { publicUrl, env }: Where,
): { id: string; origins: string[] } | undefined => {
  const id = rp_id ?? new URL(publicUrl).hostname
  const all = [publicUrl, ...origins, ...related_origins].filter((one) => isSafe(one, env))
  return isDomain(id) ? { id, origins: [...new Set(all)] } : undefined
}

/** What is wrong with settings, by the field. A public suffix such as `co.uk` is refused by every browser, not here. */
export const faultsOf = (
  { rp_id, origins, related_origins }: PasskeySettings,
  { publicUrl, env }: Where,
): { pointer: string; detail: string }[] => {
  const id = rp_id ?? new URL(publicUrl).hostname
  const unsafe = (pointer: string, all: string[]) =>
    all.flatMap((one, at) => (isSafe(one, env) ? [] : [{ pointer: `${pointer}/${at}`, detail: 'An origin has https' }]))
  const astray = origins.flatMap((one, at) =>
    isWithin(one, id) ? [] : [{ pointer: `/passkeys/origins/${at}`, detail: `It is not at ${id} or below it` }],
  )
  const reached = isWithin(publicUrl, id) || related_origins.includes(publicUrl)
  return [
    ...(isDomain(id) || rp_id === null ? [] : [{ pointer: '/passkeys/rp_id', detail: 'An RP ID is a domain' }]),
    ...(reached
      ? []
      : [{ pointer: '/passkeys/rp_id', detail: `${publicUrl} is neither at this domain nor a related origin` }]),
    ...unsafe('/passkeys/origins', origins),
    ...unsafe('/passkeys/related_origins', related_origins),
    ...astray,
  ]
}

/**
 * The origins that may use the passkeys of an RP ID from elsewhere (WebAuthn L3 section 5.11): those that are set, and
 * every other address of a workspace with domains. `home` is PUBLIC_URL.
 */
export const relatedOrigins = async (db: Db, rpId: string, home: string): Promise<string[]> => {
  const { rows } = await sql<{ origin: string }>`
    with users as (
      select id, settings from workspaces where status = 'active'
      and coalesce(settings -> 'passkeys' ->> 'rp_id', ${new URL(home).hostname}) = ${rpId}
    )
    select jsonb_array_elements_text(settings -> 'passkeys' -> 'related_origins') as origin from users
    union select d.origin from users join domains d on d.workspace_id = users.id where d.state = 'active'
    union select ${home}::text from users join domains d on d.workspace_id = users.id where d.state = 'active'
    order by origin`.execute(db)
  return rows.map((row) => row.origin).filter((origin) => new URL(origin).hostname !== rpId)
}

const originOf = (text: string): string | undefined => (URL.canParse(text) ? new URL(text).origin : undefined)

/** Whether an origin is at a domain or below it. */
const isWithin = (text: string, domain: string): boolean => {
  const { hostname } = new URL(text)
  return hostname === domain || hostname.endsWith(`.${domain}`)
}

// A single label is nobody's domain: but for loopback it can only be a public suffix.
const isDomain = (id: string): boolean => isIP(id) === 0 && (id === 'localhost' || id.includes('.'))

const isSafe = (text: string, env: Where['env']): boolean => {
  const { protocol, hostname } = new URL(text)
  const loopback = hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '127.0.0.1'
  return protocol === 'https:' || (protocol === 'http:' && loopback && env !== 'production')
}
