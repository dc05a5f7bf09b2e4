import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { randomToken, sha256 } from '../platform/secrets.ts'
import * as audit from './audit.ts'

const grantTypes = z.enum(['authorization_code', 'refresh_token', 'client_credentials', 'password'])

/** A client's metadata: the fields of OpenID Connect Dynamic Client Registration 1.0 section 2, and ours. */
export const clientMetadata = z.object({
  client_name: z.string().min(1).max(200),
  application_type: z.enum(['web', 'native']).default('web'),
  redirect_uris: z.array(z.url()).default([]),
  post_logout_redirect_uris: z.array(z.url()).default([]),
  grant_types: z.array(grantTypes).min(1).default(['authorization_code']),
  token_endpoint_auth_method: z
    .enum(['none', 'client_secret_basic', 'client_secret_post'])
    .default('client_secret_basic'),
  id_token_signed_response_alg: z.enum(['RS256', 'ES256', 'EdDSA', 'PS256']).default('RS256'),
  scope: z.string().optional(),
  logo_uri: z.url({ protocol: /^https$/ }).optional(),
  client_uri: z.url({ protocol: /^https$/ }).optional(),
  policy_uri: z.url({ protocol: /^https$/ }).optional(),
  tos_uri: z.url({ protocol: /^https$/ }).optional(),
  default_max_age: z.int().min(0).optional(),
  require_auth_time: z.boolean().optional(),
  initiate_login_uri: z.url({ protocol: /^https$/ }).optional(),
  first_party: z.boolean().default(false),
  connections: z.array(z.uuid()).nullable().default(null),
  acr_values_default: z.array(z.string()).default([]),
  /** Resources that the client may ask tokens for, with the scopes it may have there. */
  resources: z.record(z.url(), z.array(z.string())).default({}),
})
export type ClientMetadata = z.infer<typeof clientMetadata>

/** A client as it is stored; `secretHash` is the SHA-256 of a secret that only its owner knows. */
export interface Client {
  id: string
  status: 'active' | 'inactive'
  metadata: ClientMetadata
  secretHash: string | null
}

/** Registers a client; `secret` comes back this once, where its method has one. Throws `conflict` on a taken id. */
export const create = async (
  db: Db,
  at: Date,
  workspaceId: string,
  { id, secret, ...input }: z.input<typeof clientMetadata> & { id: string; secret?: string },
  by: audit.By = audit.system,
): Promise<{ id: string; secret: string | undefined }> => {
  const metadata = clientMetadata.parse(input)
  const made = metadata.token_endpoint_auth_method === 'none' ? undefined : (secret ?? randomToken())
  const row = await db
    .insertInto('clients')
    .values({ workspaceId, id, metadata: JSON.stringify(metadata), secretHash: made ? sha256(made) : null })
    .onConflict((conflict) => conflict.columns(['workspaceId', 'id']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!row) throw new Problem('conflict', { detail: `A client with the id "${id}" exists.` })
  const about = { workspaceId, clientId: id }
  await audit.record(db, at, about, { type: 'client.created', data: { by, name: metadata.client_name } })
  return { id, secret: made }
}

export const find = async (db: Db, workspaceId: string, id: string): Promise<Client | undefined> => {
  const row = await db
    .selectFrom('clients')
    .select(['id', 'status', 'metadata', 'secretHash'])
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .executeTakeFirst()
  return row && { ...row, metadata: clientMetadata.parse(row.metadata) }
}

/** Whether a stored client is other than wanted, in its metadata or its secret. */
export const differs = (client: Client, input: z.input<typeof clientMetadata>, secret?: string): boolean =>
  !isDeepStrictEqual(client.metadata, clientMetadata.parse(input)) ||
  (secret !== undefined && client.secretHash !== sha256(secret))

/** Replaces what a client may be reached at and known by; used where the program owns the client itself. */
export const replace = async (
  db: Db,
  workspaceId: string,
  id: string,
  input: z.input<typeof clientMetadata>,
  secret?: string,
): Promise<void> => {
  const metadata = JSON.stringify(clientMetadata.parse(input))
  await db
    .updateTable('clients')
    .set({ metadata, updatedAt: new Date(), ...(secret ? { secretHash: sha256(secret) } : {}) })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .execute()
}
