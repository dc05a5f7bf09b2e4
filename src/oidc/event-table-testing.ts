import { createHash, randomBytes, randomInt } from 'node:crypto'
import { sql } from 'kysely'
import { type AdminLido, adminLido } from '../admin/fixtures-testing.ts'
import { type Browser, openBrowser } from '../browser-testing.ts'
import { type ProofKey, proofKey } from './dpop-testing.ts'
import {
  type Answer,
  ask,
  basic,
  callback,
  makePool,
  makeWorkspace,
  password,
  post,
  type TestPool,
  type TestWorkspace,
  tokensOf,
} from './fixtures-testing.ts'
import { makeSigner, type Signer } from './signer-testing.ts'

export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
export const cibaGrant = 'urn:openid:params:grant-type:ciba'
export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const api = 'https://api.example.org'
export const mike = 'mike@example.org'
/** Stands in everything that is sent and is wrong: no event may hold it. */
export const canary = 'canary-that-no-event-may-hold'

/** A workspace with a client for every way to ask for something. */
export interface Town {
  lido: AdminLido
  workspace: TestWorkspace
  people: TestPool
  /** What a client authenticates by at the endpoints. */
  as(client: string): Record<string, string>
  /** The same with a secret that is not its own. */
  asIfIt(client: string): Record<string, string>
  signer: Signer
  key: ProofKey
  send(path: string, fields: Record<string, string>, headers?: Record<string, string>): Promise<Answer>
  token(fields: Record<string, string>, headers?: Record<string, string>): Promise<Answer>
  userinfo(headers: Record<string, string>): Promise<Answer>
  /** A request for authorization that is right, but for what is changed; a browser or nobody follows. */
  authorize(changed?: Record<string, string>): Promise<Answer>
  enter(path: string, email?: string, browser?: Browser): Promise<Browser>
  stop(): Promise<void>
}

export const makeTown = async (): Promise<Town> => {
  const lido = await adminLido({ TRUSTED_PROXIES: '127.0.0.1' })
  const people = await makePool(lido, 'townsfolk')
  const registration = { mode: 'open', grant_types: ['authorization_code', 'refresh_token'] } as const
  const settings = { registration: { ...registration, grant_types: [...registration.grant_types], per_hour: 1000 } }
  const workspace = await makeWorkspace(lido, 'town', {
    pools: [people],
    settings: { ...settings, refresh_grace_seconds: 0 },
  })
  const signer = await makeSigner()
  const secrets = await makeClients(workspace, signer)
  for (const name of ['mike', 'anna', 'otto']) await people.user(`${name}@example.org`)
  const vera = await people.user('vera@example.org')
  await lido.services.db.updateTable('users').set({ secondFactorDue: true }).where('id', '=', vera).execute()
  const { issuer } = workspace
  const send: Town['send'] = (path, fields, headers) => post(`${issuer}${path}`, fields, headers)
  return {
    lido,
    workspace,
    people,
    signer,
    key: await proofKey(),
    as: (client) => basic(client, secrets.get(client) ?? ''),
    asIfIt: (client) => basic(client, canary),
    send,
    token: (fields, headers) => send('/token', fields, headers),
    userinfo: (headers) => ask(`${issuer}/userinfo`, { headers }),
    authorize: (changed = {}) => {
      const all = { ...wanted, client_id: 'spa', redirect_uri: callback, ...changed }
      const said = Object.entries(all).filter(([, value]) => value !== '')
      return ask(`${issuer}/authorize?${new URLSearchParams(said)}`)
    },
    enter: async (path, email = mike, browser = openBrowser(lido.url)) => {
      await browser.get(path.startsWith('/') && !path.startsWith('/w/') ? `/w/town${path}` : path)
      if (browser.page.step === 'identify') await browser.submit({ identifier: email })
      if (browser.page.step === 'prove') await browser.submit({ password })
      return browser
    },
    stop: lido.stop,
  }
}

export const verifier = randomBytes(32).toString('base64url')
export const wanted = {
  response_type: 'code',
  scope: 'openid',
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
}

const makeClients = async ({ client }: TestWorkspace, { jwks }: Signer): Promise<Map<string, string>> => {
  const secrets = new Map<string, string>()
  const confidential = { token_endpoint_auth_method: 'client_secret_basic', redirect_uris: [] } as const
  const own = { ...confidential, redirect_uris: [], resources: { [api]: ['read'] } }
  const add = async (id: string, more: Parameters<TestWorkspace['client']>[1]) => {
    secrets.set(id, await client(id, more))
  }
  await add('spa', { resources: { [api]: ['read'] } })
  await add('other', {})
  await add('third', { first_party: false })
  await add('hybrid', { response_types: ['code', 'code id_token', 'id_token'] })
  await add('machine', { ...own, grant_types: ['client_credentials'] })
  await add('legacy', { ...own, grant_types: ['password', 'refresh_token'], scope: 'openid email' })
  await add('tv', { grant_types: [deviceGrant, 'refresh_token'], redirect_uris: [], first_party: false })
  await add('shop', { ...own, grant_types: [cibaGrant], backchannel_token_delivery_mode: 'poll' })
  await add('gate', {
    ...own,
    grant_types: ['client_credentials', exchangeGrant],
    token_exchange: { resources: [api], subjects: 'any', impersonation: true, delegation: false, wider_scopes: false },
  })
  const signing = { grant_types: ['client_credentials' as const], redirect_uris: [], jwks: jwks as never }
  await add('signing', { ...signing, token_endpoint_auth_method: 'private_key_jwt' })
  await add('asking', { jwks: jwks as never })
  return secrets
}

/**
 * Lets every request come from somewhere else, as a proxy tells it: none is one too many of one sender. Answers what puts
 * it back.
 */
export const comeFromEverywhere = (): (() => void) => {
  const send = globalThis.fetch
  globalThis.fetch = (input, init) => {
    const headers = new Headers(init?.headers)
    if (!headers.has('X-Forwarded-For')) headers.set('X-Forwarded-For', `198.18.${randomInt(256)}.${randomInt(256)}`)
    return send(input, { ...init, headers })
  }
  return () => {
    globalThis.fetch = send
  }
}

/** A token of mike's. */
export const accessOf = async ({ lido, workspace }: Town, params: Record<string, string> = {}): Promise<string> =>
  (await tokensOf(lido, workspace, mike, params)).access

/** Lets a token be over, as if its time had come. */
export const endToken = async ({ lido }: Town): Promise<void> => {
  await sql`update artifacts set expires_at = now() - interval '1 minute',
    payload = jsonb_set(payload, '{exp}', to_jsonb(floor(extract(epoch from now())) - 60))
    where kind in ('AccessToken', 'DeviceCode')`.execute(lido.services.db)
}

/** Lets clients ask again at once. */
export const hurry = async ({ lido }: Town): Promise<void> => {
  await lido.services.db.updateTable('artifacts').set({ polledAt: null }).execute()
}
