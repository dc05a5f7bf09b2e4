import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { type OAuthClientProvider, UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { openBrowser } from '../browser-testing.ts'
import type { RegistrationPolicy } from '../directory/registration-policy.ts'
import * as resources from '../directory/resources.ts'
import { type TestLido, testLido } from '../testing.ts'
import { makePool, makeWorkspace, password, payloadOf, type TestWorkspace } from './fixtures-testing.ts'

const email = 'mike@example.org'
const document = 'https://editor.example.org/mcp/client.json'
const back = 'http://127.0.0.1:33418/callback'

let lido: TestLido
let workspace: TestWorkspace
let mike: string
let tools: Server
let resource: string
before(async () => {
  lido = await testLido()
  tools = createServer()
  await new Promise<void>((resolve) => tools.listen(0, '127.0.0.1', resolve))
  resource = `http://127.0.0.1:${(tools.address() as AddressInfo).port}/mcp`
  const people = await makePool(lido, 'p1')
  mike = await people.user(email)
  const policy: Partial<RegistrationPolicy> = {
    mode: 'open',
    client_id_documents: 'on',
    resources: { [resource]: ['tools'] },
  }
  workspace = await makeWorkspace(lido, 'w1', { pools: [people], settings: { registration: policy } })
  const { db, clock } = lido.services
  const wanted = {
    identifier: resource,
    name: 'Tools',
    scopes: [{ name: 'tools', description: { en: 'Use the tools' } }],
  }
  await db.transaction().execute((trx) => resources.create(trx, clock.now(), workspace.id, wanted, { kind: 'system' }))
  serveTools()
  answerDocument()
})
after(async () => {
  tools.closeAllConnections()
  tools.close()
  await lido.stop()
})

/** An MCP server with one tool, which tells who asks; it takes the tokens of the workspace that are for it. */
const serveTools = (): void => {
  const metadata = `${new URL(resource).origin}/.well-known/oauth-protected-resource/mcp`
  const keys = createRemoteJWKSet(new URL(`${workspace.issuer}/jwks`))
  tools.on('request', async (req, res) => {
    if (req.url?.startsWith('/.well-known/oauth-protected-resource')) {
      const told = {
        resource,
        authorization_servers: [workspace.issuer],
        scopes_supported: ['tools', 'offline_access'],
      }
      res.setHeader('Content-Type', 'application/json').end(JSON.stringify(told))
      return
    }
    const token = req.headers.authorization?.replace(/^Bearer /, '') ?? ''
    const checks = { issuer: workspace.issuer, audience: resource, typ: 'at+jwt' }
    const known = await jwtVerify(token, keys, checks).catch(() => undefined)
    if (!known) {
      res.writeHead(401, { 'WWW-Authenticate': `Bearer resource_metadata="${metadata}"` }).end()
      return
    }
    const server = new McpServer({ name: 'tools', version: '1.0.0' })
    server.registerTool('who', { description: 'Who asks' }, async () => ({
      content: [{ type: 'text', text: `${known.payload.sub} ${known.payload.scope}` }],
    }))
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
    await server.connect(transport as Transport)
    await transport.handleRequest(req, res)
  })
}

/** The site of an application that has a document about itself. */
const answerDocument = (): void => {
  const { fetch: guarded } = lido.services
  const said = {
    client_id: document,
    client_name: 'The editor',
    redirect_uris: [back],
    grant_types: ['authorization_code', 'refresh_token'],
  }
  lido.services.fetch = async (url, init) => {
    if (url !== document) return guarded(url, init)
    const text = JSON.stringify(said)
    return { status: 200, headers: { 'content-type': 'application/json' }, text: () => text, json: () => said }
  }
}

/** What an application of its user keeps; `opened` is the address that it opens in a browser. */
const anApplication = (clientMetadataUrl?: string) => {
  const kept: { client?: OAuthClientInformationMixed; tokens?: OAuthTokens; verifier?: string; opened?: URL } = {}
  const provider: OAuthClientProvider = {
    redirectUrl: back,
    ...(clientMetadataUrl ? { clientMetadataUrl } : {}),
    clientMetadata: {
      client_name: 'The editor',
      redirect_uris: [back],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    clientInformation: () => kept.client,
    saveClientInformation: (client) => {
      kept.client = client
    },
    tokens: () => kept.tokens,
    saveTokens: (tokens) => {
      kept.tokens = tokens
    },
    redirectToAuthorization: (url) => {
      kept.opened = url
    },
    saveCodeVerifier: (verifier) => {
      kept.verifier = verifier
    },
    codeVerifier: () => kept.verifier ?? '',
  }
  return { kept, provider }
}

const connect = async (provider: OAuthClientProvider, code?: string): Promise<Client> => {
  const transport = new StreamableHTTPClientTransport(new URL(resource), { authProvider: provider })
  if (code) await transport.finishAuth(code)
  const client = new Client({ name: 'editor', version: '1.0.0' })
  await client.connect(transport as Transport)
  return client
}

for (const [how, address] of [
  ['registers itself', undefined],
  ['has a document', document],
] as const) {
  test(`a client of the MCP SDK that ${how} finds its way from the tools to the sign-in and back`, async () => {
    const { kept, provider } = anApplication(address)
    await assert.rejects(connect(provider), UnauthorizedError)
    assert(kept.opened)
    assert.equal(kept.opened.searchParams.get('resource'), resource)
    if (address) assert.equal(kept.opened.searchParams.get('client_id'), address)
    const browser = openBrowser(lido.url)
    await browser.get(kept.opened.pathname + kept.opened.search)
    await browser.submit({ identifier: email })
    await browser.submit({ password })
    assert.equal(browser.page.step, 'consent')
    assert.match(browser.page.html, /Use the tools/)
    assert.match(browser.page.html, /program on your device/)
    await browser.submit({ decision: 'allow' })
    const client = await connect(provider, new URL(browser.page.url).searchParams.get('code') ?? '')
    const { content } = (await client.callTool({ name: 'who' })) as { content: { text: string }[] }
    assert.equal(content[0]?.text, `${mike} tools`)
    await client.close()
    const before = kept.tokens
    assert.ok(before?.refresh_token)
    kept.tokens = { ...before, access_token: 'over' }
    await (await connect(provider)).close()
    assert.notEqual(kept.tokens.access_token, before.access_token)
    assert.deepEqual(payloadOf(kept.tokens.access_token).aud, resource)
  })
}
