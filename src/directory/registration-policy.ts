import { z } from 'zod'
import { deviceGrant } from './client-metadata.ts'

const token = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/, 'No spaces, quotes or backslashes')

const distinct = (values: readonly string[]): boolean => new Set(values).size === values.length

/** The scopes of OpenID Connect that whoever registers may have. */
export const registrableScopes = [
  'openid',
  'profile',
  'email',
  'phone',
  'address',
  'offline_access',
  'groups',
  'roles',
  'tenant',
] as const

/** The addresses that people may be sent back to: sites, programs on the same device, schemes of their own. */
export const redirectKinds = ['https', 'loopback', 'private'] as const
export type RedirectKind = (typeof redirectKinds)[number]

/** A host as URLs have it: lower case, punycode, no port. */
const host = z
  .string()
  .max(253)
  .regex(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9][a-z0-9-]*$/, 'A host name in lower case, without port and path')

/** How applications become clients by themselves, and how far that may go. */
export const registrationPolicy = z.strictObject({
  mode: z
    .enum(['off', 'token', 'open'])
    .default('off')
    .describe('Who may register a client (RFC 7591): nobody, whoever has a registration token, or anybody'),
  client_id_documents: z
    .enum(['off', 'on'])
    .default('off')
    .describe('Whether an https address of a document about itself is a client (Client ID Metadata Document)'),
  client_id_hosts: z
    .array(host)
    .max(200)
    .refine(distinct, 'A host is named twice')
    .default([])
    .describe('The only hosts that such documents may be at; none named: any'),
  grant_types: z
    .array(z.enum(['authorization_code', 'refresh_token', 'client_credentials', deviceGrant]))
    .min(1)
    .refine(distinct, 'A grant type is named twice')
    .default(['authorization_code', 'refresh_token'])
    .describe('What such a client may use'),
  scopes: z
    .array(z.enum(registrableScopes))
    .min(1)
    .refine(distinct, 'A scope is named twice')
    .default(['openid', 'profile', 'email', 'offline_access'])
    .describe('What such a client may ask people for'),
  resources: z
    .record(
      z
        .url()
        .max(500)
        .refine((uri) => !uri.includes('#'), 'A fragment is not allowed (RFC 8707 section 2)'),
      z.array(token).max(200),
    )
    .default({})
    .describe('Resources that every such client may ask tokens for, with the scopes it may have there'),
  redirects: z
    .array(z.enum(redirectKinds))
    .min(1)
    .refine(distinct, 'A kind is named twice')
    .default(['https', 'loopback'])
    .describe('Where people may be sent back: to https addresses, to this device over http, by schemes of their own'),
  most_clients: z.int().min(1).max(100_000).default(1000).describe('How many clients may have registered at once'),
  per_hour: z.int().min(1).max(100_000).default(100).describe('How many may register within an hour without a token'),
  per_hour_and_network: z
    .int()
    .min(1)
    .max(10_000)
    .default(10)
    .describe('The same from one network address; changes count, too'),
  expire_unused_days: z
    .int()
    .min(1)
    .max(730)
    .nullable()
    .default(90)
    .describe('A client that got no token for so many days is deleted; null to keep them'),
  rotate_access_token: z
    .boolean()
    .default(true)
    .describe('Whether a client that changes its registration gets a new token for the next change'),
  remember_consent: z
    .boolean()
    .default(false)
    .describe('Whether people who agreed once to a client that registered are not asked again'),
})
export type RegistrationPolicy = z.output<typeof registrationPolicy>
