import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as oidc from 'openid-client'
import * as clients from '../src/directory/clients.ts'
import type { TestLido } from '../src/testing.ts'

/** An application on an origin of its own, which signs people in at a workspace. */
export interface App {
  url: string
  /** Begins a sign-in, with further parameters of the authorization request. */
  signIn(parameters?: Record<string, string>): string
  close(): Promise<void>
}

interface Wanted {
  workspace: { id: string; slug: string }
  name: string
  metadata?: Partial<Parameters<typeof clients.create>[3]>
}

/** Registers a public client and opens the application behind it, which shows whom it was told about. */
export const openApp = async ({ services, url: issuer }: TestLido, wanted: Wanted): Promise<App> => {
  const { workspace, name, metadata } = wanted
  const begun = new Map<string, string>()
  const server = createServer(async (request, response) => {
    const here = new URL(request.url ?? '/', url)
    const page = pages[here.pathname] ?? (() => show(response, name))
    await page(here, response).catch((error) => show(response, `${name} failed: ${error}`))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const id = `app-${crypto.randomUUID()}`
  const redirect_uri = `${url}/callback`
  await clients.create(services.db, services.clock.now(), workspace.id, {
    id,
    client_name: name,
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [redirect_uri],
    first_party: true,
    ...metadata,
  })
  const config = await oidc.discovery(new URL(`${issuer}/w/${workspace.slug}`), id, undefined, oidc.None(), {
    execute: [oidc.allowInsecureRequests],
  })

  const pages: Record<string, (here: URL, response: ServerResponse) => Promise<void>> = {
    '/signin': async (here, response) => {
      const verifier = oidc.randomPKCECodeVerifier()
      const state = oidc.randomState()
      begun.set(state, verifier)
      const to = oidc.buildAuthorizationUrl(config, {
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
      const tokens = await oidc.authorizationCodeGrant(config, here, checks)
      const subject = tokens.claims()?.sub ?? oidc.skipSubjectCheck
      const { email } = await oidc.fetchUserInfo(config, tokens.access_token, subject)
      show(response, `${name} knows ${email}`)
    },
  }

  return {
    url,
    signIn: (parameters = {}) => `${url}/signin?${new URLSearchParams(parameters)}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const show = async (response: ServerResponse, text: string): Promise<void> => {
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' })
  response.end(`<!doctype html><title>App</title><link rel="icon" href="data:,"><h1>${text}</h1>`)
}
