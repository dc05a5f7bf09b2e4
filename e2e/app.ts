import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as oidc from 'openid-client'
import * as clients from '../src/directory/clients.ts'
import type { TestLido } from '../src/testing.ts'

/** An application on an origin of its own, which signs people in at a workspace. */
export interface App {
  url: string
  /** Where people come back to. */
  redirectUri: string
  /** Begins a sign-in, with further parameters of the authorization request. */
  signIn(parameters?: Record<string, string>): string
  /** Where the application asks for new tokens for whoever signed in last. */
  refresh: string
  close(): Promise<void>
}

/** An application that nobody has registered yet. */
export interface NewApp extends App {
  /** Gives the application what its registration came to. */
  configure(client: { issuer: string; id: string; secret?: string }): Promise<void>
}

interface Wanted {
  workspace: { id: string; slug: string }
  name: string
  metadata?: Partial<Parameters<typeof clients.create>[3]>
}

/** Registers a public client and opens the application behind it, which shows whom it was told about. */
export const openApp = async ({ services, url }: TestLido, { workspace, name, metadata }: Wanted): Promise<App> => {
  const app = await openNewApp(name)
  const id = `app-${crypto.randomUUID()}`
  await clients.create(services.db, services.clock.now(), workspace.id, {
    id,
    client_name: name,
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [app.redirectUri],
    first_party: true,
    ...metadata,
  })
  await app.configure({ issuer: `${url}/w/${workspace.slug}`, id })
  return app
}

/** Opens an application that has yet to be registered, and to be told so. */
export const openNewApp = async (name: string): Promise<NewApp> => {
  const begun = new Map<string, string>()
  let configured: oidc.Configuration | undefined
  let held: oidc.TokenEndpointResponse | undefined
  const server = createServer(async (request, response) => {
    const here = new URL(request.url ?? '/', url)
    const page = pages[here.pathname] ?? (() => show(response, name))
    await page(here, response).catch((error) => show(response, `${name} failed: ${error}`))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const redirect_uri = `${url}/callback`
  const config = () => {
    if (!configured) throw new Error('it is not registered')
    return configured
  }

  const pages: Record<string, (here: URL, response: ServerResponse) => Promise<void>> = {
    '/signin': async (here, response) => {
      const verifier = oidc.randomPKCECodeVerifier()
      const state = oidc.randomState()
      begun.set(state, verifier)
      const to = oidc.buildAuthorizationUrl(config(), {
        redirect_uri,
        scope: 'openid profile email',
        state,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        ...Object.fromEntries(here.searchParams),
      })
      response.writeHead(302, { Location: to.href }).end()
    },

    '/callback': async (here, response) => {
      const error = here.searchParams.get('error')
      if (error) return show(response, `${name} was told: ${error}`)
      const state = here.searchParams.get('state') ?? ''
      const checks = { pkceCodeVerifier: begun.get(state) ?? '', expectedState: state }
      const tokens = await oidc.authorizationCodeGrant(config(), here, checks)
      held = tokens
      const subject = tokens.claims()?.sub ?? oidc.skipSubjectCheck
      const userinfo = await oidc.fetchUserInfo(config(), tokens.access_token, subject)
      show(response, `${name} knows ${userinfo.email}`, { id_token: tokens.claims(), userinfo })
    },

    '/refresh': async (_here, response) => {
      try {
        held = await oidc.refreshTokenGrant(config(), held?.refresh_token ?? '')
        show(response, `${name} has new tokens`)
      } catch (error) {
        if (!(error instanceof oidc.ResponseBodyError)) throw error
        show(response, `${name} was told: ${error.error}`)
      }
    },
  }

  return {
    url,
    redirectUri: redirect_uri,
    refresh: `${url}/refresh`,
    configure: async ({ issuer, id, secret }) => {
      const options = { execute: [oidc.allowInsecureRequests] }
      const by = secret ? oidc.ClientSecretBasic(secret) : oidc.None()
      configured = await oidc.discovery(new URL(issuer), id, secret, by, options)
    },
    signIn: (parameters = {}) => `${url}/signin?${new URLSearchParams(parameters)}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const show = async (response: ServerResponse, text: string, told?: object): Promise<void> => {
  const claims = told ? `<pre>${JSON.stringify(told)}</pre>` : ''
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' })
  response.end(`<!doctype html><title>App</title><link rel="icon" href="data:,"><h1>${text}</h1>${claims}`)
}
