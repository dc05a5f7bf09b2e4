import type { Context, Next } from 'koa'
import type { Client } from '../../directory/clients.ts'
import type { Resource } from '../../directory/resources.ts'
import type { Workspace } from '../../directory/workspaces.ts'
import type { KoaContextWithOIDC, Provider } from '../engine.ts'
import type { SigningKeys } from '../signing-keys.ts'

/** The workspace that a grant is asked for in. */
export interface GrantRoom {
  workspace: Workspace
  keys: SigningKeys
  resources: readonly Resource[]
  findClient(id: string): Promise<Client | undefined>
}

/** A grant of our own; what it takes from other rooms is handed in where the program is put together. */
export interface GrantType {
  name: string
  parameters: string[]
  handle(ctx: KoaContextWithOIDC, room: GrantRoom): Promise<void>
}

export const registerGrants = (provider: Provider, grants: readonly GrantType[], room: GrantRoom): void => {
  for (const { name, parameters, handle } of grants) {
    provider.registerGrantType(name, (ctx) => handle(ctx, room), parameters)
  }
}

/** Says `unauthorized_client` for a grant type that is closed to a client (RFC 6749 section 5.2), as the engine does not. */
export const nameClosedGrants = async (ctx: Context, next: Next): Promise<void> => {
  await next()
  const { oidc } = ctx as unknown as Partial<KoaContextWithOIDC>
  const wanted = oidc?.route === 'token' ? oidc.params?.grant_type : undefined
  if (typeof wanted !== 'string' || oidc?.client?.grantTypeAllowed(wanted) !== false) return
  const body = ctx.body as { error?: string } | undefined
  if (body?.error !== 'invalid_request') return
  body.error = 'unauthorized_client'
  Object.assign(ctx.state.refused ?? {}, { code: body.error })
}
