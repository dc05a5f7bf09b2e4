import type { Context, Next } from 'koa'
import { cibaGrant, deviceGrant } from '../directory/client-metadata.ts'
import { type Spoken, spokenIn } from '../directory/spoken.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'

/** How long clients may keep a workspace's documents, in seconds; new keys are published longer than this before use. */
const cacheSeconds = 300

const addresses = new Set(['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server', '/jwks'])

/**
 * Discovery and JWKS never change while an engine lives, which is no longer than until a client of its workspace changes:
 * they are made once and answered from memory. Both are public, so any origin may read them.
 */
export const documents = ({ db }: Pick<Services, 'db'>, workspace: Workspace) => {
  const made = new Map<string, Promise<string | undefined>>()
  const make = async (ctx: Context, next: Next): Promise<string | undefined> => {
    await next()
    if (ctx.status !== 200) return undefined
    if (ctx.path === '/jwks') return JSON.stringify(ctx.body)
    const spoken = await spokenIn(db, workspace.id)
    return JSON.stringify(advertised(ctx.body as Told, withRegistered(spoken, workspace)))
  }
  return async (ctx: Context, next: Next) => {
    if (!['GET', 'HEAD'].includes(ctx.method) || !addresses.has(ctx.path)) return next()
    const making = made.get(ctx.path) ?? make(ctx, next)
    made.set(ctx.path, making)
    const known = await making.catch((error: unknown) => {
      made.delete(ctx.path)
      throw error
    })
    if (known === undefined) {
      made.delete(ctx.path)
      return
    }
    ctx.set('Access-Control-Allow-Origin', '*')
    ctx.set('Cache-Control', `public, max-age=${cacheSeconds}`)
    ctx.set('ETag', `"${sha256(known).slice(0, 27)}"`)
    ctx.type = ctx.path === '/jwks' ? 'application/jwk-set+json' : 'application/json'
    ctx.body = known
    if (ctx.fresh) ctx.status = 304
  }
}

type Told = Record<string, unknown>

/** Where applications become clients by themselves, what they may become is there for them. */
const withRegistered = (spoken: Spoken, { settings }: Workspace): Spoken => {
  const { mode, client_id_documents: byDocument, grant_types } = settings.registration
  const isOpen = mode !== 'off' || byDocument === 'on'
  return { ...spoken, grantTypes: new Set([...spoken.grantTypes, ...(isOpen ? grant_types : [])]) }
}

/**
 * Discovery of what is switched on (RFC 8414 section 2): sign-in by code, and whatever else some client of the workspace
 * is set to do. Lists that are empty are left out (section 3.2).
 */
const advertised = (told: Told, { grantTypes, responseTypes, deliveryModes }: Spoken): Told => {
  const browser = ['id_token', 'code id_token'].filter((type) => responseTypes.has(type))
  const open = new Set(['authorization_code', ...grantTypes, ...(browser.length > 0 ? ['implicit'] : [])])
  const all = {
    ...told,
    grant_types_supported: (told.grant_types_supported as string[]).filter((type) => open.has(type)),
    response_types_supported: ['code', ...browser],
    backchannel_token_delivery_modes_supported: [...deliveryModes].sort(),
    // Nobody has a code of their own for requests that come from elsewhere (CIBA Core 1.0 section 4).
    backchannel_user_code_parameter_supported: false,
  }
  const shut = Object.entries(ofGrants).flatMap(([grant, names]) => (open.has(grant) ? [] : names))
  return Object.fromEntries(
    Object.entries(all).filter(
      ([name, value]) => !shut.includes(name) && !(Array.isArray(value) && value.length === 0),
    ),
  )
}

/** What is there for one grant alone. */
const ofGrants: Record<string, string[]> = {
  [deviceGrant]: ['device_authorization_endpoint'],
  [cibaGrant]: [
    'backchannel_authentication_endpoint',
    'backchannel_authentication_request_signing_alg_values_supported',
    'backchannel_token_delivery_modes_supported',
    'backchannel_user_code_parameter_supported',
  ],
}
