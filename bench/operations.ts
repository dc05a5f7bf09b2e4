import { createHash } from 'node:crypto'
import { deviceGrant, exchangeGrant } from '../src/directory/client-metadata.ts'
import type { Connection, Reply } from './connection.ts'
import { emailOf, fixture } from './fixture.ts'
import { basic, connected, encode, expect, inTurn, type Operation, type Target, type Worker, worker } from './worker.ts'

export const operationNames = [
  'discovery',
  'jwks',
  'client_credentials',
  'client_credentials_es256',
  'client_credentials_eddsa',
  'refresh',
  'userinfo',
  'introspection',
  'device_poll',
  'token_exchange',
  'page',
  'pushed_code',
  'sign_in_unhashed',
  'sign_in',
  'sign_in_code',
  'sign_in_passkey',
] as const
export type OperationName = (typeof operationNames)[number]

/** Those that the bare engine has no counterpart of. */
export const ours: readonly OperationName[] = ['token_exchange', 'sign_in', 'sign_in_code', 'sign_in_passkey']

/** Every operation by its name; the two sign-ins by password differ by what the server does with it. */
export const operations: Record<OperationName, Operation> = {
  discovery: reading('/.well-known/openid-configuration', '"token_endpoint"'),
  jwks: reading('/jwks', '"keys"'),
  client_credentials: machineToken(fixture.resource.uri, 'RS256'),
  client_credentials_es256: machineToken(fixture.signed.ES256, 'ES256'),
  client_credentials_eddsa: machineToken(fixture.signed.EdDSA, 'EdDSA'),
  refresh: async (target, n, of) => {
    // Some families each: the engine's adapter keeps every token of a grant in one list, and slows down as it grows; but
    // it forgets what was not used among the last thousand records.
    const families = await inTurn(Math.ceil(64 / of), () => signInOnce(target, n))
    let turn = 0
    return worker(target, async (connection) => {
      const family = families[turn++ % families.length]
      if (!family) return
      const body = encode({ grant_type: 'refresh_token', refresh_token: family.refresh_token })
      const tokens = tokensOf(await connection.post(`${target.prefix}/token`, body, basic(fixture.client)))
      if (!tokens.refresh_token || tokens.refresh_token === family.refresh_token)
        throw new Error('Nothing was rotated.')
      family.refresh_token = tokens.refresh_token
    })
  },
  userinfo: async (target, n) => {
    const { access_token } = await signInOnce(target, n)
    const headers = { authorization: `Bearer ${access_token}` }
    return worker(target, async (connection) => {
      expect(await connection.get(`${target.prefix}/userinfo`, headers), 200, '"email"')
    })
  },
  introspection: async (target, n) => {
    const { access_token } = await signInOnce(target, n)
    const body = encode({ token: access_token })
    const headers = basic(fixture.client)
    return worker(target, async (connection) => {
      expect(await connection.post(`${target.prefix}/introspect`, body, headers), 200, '"active":true')
    })
  },
  // Nobody answers: what a device asks until then, too often at that, which costs the same.
  device_poll: async (target) => {
    const client_id = fixture.television.id
    const begin = encode({ client_id, scope: 'openid' })
    const begun = await connected(target, (connection) =>
      connection.post(`${target.prefix}/device_authorization`, begin),
    )
    const { device_code } = JSON.parse(expect(begun, 200, '"device_code"').text) as { device_code: string }
    const body = encode({ client_id, device_code, grant_type: deviceGrant })
    return worker(target, async (connection) => {
      expect(await connection.post(`${target.prefix}/token`, body), 400, '"error":"')
    })
  },
  token_exchange: async (target, n) => {
    const { access_token } = await signInOnce(target, n)
    const body = encode({
      grant_type: exchangeGrant,
      subject_token: access_token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      scope: 'openid',
    })
    return worker(target, async (connection) => {
      expect(await connection.post(`${target.prefix}/token`, body, basic(fixture.gate)), 200, '"issued_token_type"')
    })
  },
  page: async (target) =>
    worker(target, async (connection) => {
      await openPage(connection, target)
    }),
  // A browser that is signed in: the request is pushed (RFC 9126), gives a code without a page, and that gives tokens.
  pushed_code: async (target, n) => {
    const cookie = await connected(target, (connection) => signedIn(connection, target, n))
    return worker(target, async (connection) => {
      const pushed = await connection.post(`${target.prefix}/par`, request, basic(fixture.client))
      const { request_uri } = JSON.parse(expect(pushed, 201, '"request_uri"').text) as { request_uri: string }
      const query = encode({ client_id: fixture.client.id, request_uri })
      const back = expect(await connection.get(`${target.prefix}/authorize?${query}`, { cookie }), 303, '')
      await redeem(connection, target, back)
    })
  },
  sign_in_unhashed: (target, n, of) => signingIn(target, n, of, answering[target.name]),
  sign_in: (target, n, of) => signingIn(target, n, of, answerLido),
  sign_in_code: (target, n, of) => signingIn({ ...target, prefix: `/w/${fixture.codes}` }, n, of, answerByCode),
  sign_in_passkey: async (target, n) =>
    worker(target, async (connection) => {
      await signIn(connection, { ...target, prefix: `/w/${fixture.keys}` }, n, answerByPasskey)
    }),
}

function reading(path: string, needle: string): Operation {
  return async (target) =>
    worker(target, async (connection) => {
      expect(await connection.get(`${target.prefix}${path}`), 200, needle)
    })
}

function machineToken(resource: string, alg: string): Operation {
  const body = encode({ grant_type: 'client_credentials', resource, scope: fixture.resource.scope })
  const headers = basic(fixture.machine)
  return async (target) =>
    worker(target, async (connection) => {
      const { access_token: token } = tokensOf(await connection.post(`${target.prefix}/token`, body, headers))
      const header = Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()
      if (!header.includes(`"${alg}"`)) throw new Error(`The access token is no JWT by ${alg}.`)
    })
}

async function signingIn(target: Target, n: number, of: number, answer: Answer): Promise<Worker> {
  const own = Math.floor(target.users / of)
  let turn = 0
  return worker(target, async (connection) => {
    // A large prime walks through all of them, far from one to the next.
    turn += 7919
    await signIn(connection, target, n + of * (turn % own), answer)
  })
}

const signInOnce = (target: Target, user: number): Promise<Tokens> =>
  connected(target, (connection) => signIn(connection, target, user, answering[target.name]))

/** A whole sign-in of a browser that was never here: authorize, forms, code, tokens. */
const signIn = async (connection: Connection, target: Target, user: number, answer: Answer): Promise<Tokens> =>
  redeem(connection, target, await comeBack(connection, target, user, answer))

/** The answer that leads back to the application with a code. */
const comeBack = async (connection: Connection, target: Target, user: number, answer: Answer): Promise<Reply> => {
  const page = await openPage(connection, target)
  const answered = await answer(connection, page, user, target)
  return expect(await connection.get(answered.location, { cookie: page.cookies.join('; ') }), 303, '')
}

/** The cookies of a browser that somebody is signed in at. */
const signedIn = async (connection: Connection, target: Target, user: number): Promise<string> =>
  (await comeBack(connection, target, user, answering[target.name])).cookies.join('; ')

const redeem = async (connection: Connection, target: Target, back: Reply): Promise<Tokens> => {
  const code = new URL(back.location).searchParams.get('code')
  const tokens = tokensOf(
    await connection.post(
      `${target.prefix}/token`,
      encode({
        grant_type: 'authorization_code',
        code: code ?? '',
        redirect_uri: fixture.redirectUri,
        code_verifier: verifier,
      }),
      basic(fixture.client),
    ),
  )
  if (!tokens.id_token || !tokens.refresh_token) throw new Error('A token is missing.')
  return tokens
}

interface Page {
  path: string
  cookies: string[]
  html: string
}

const openPage = async (connection: Connection, target: Target): Promise<Page> => {
  const { location: path, cookies } = expect(await connection.get(`${target.prefix}${authorize}`), 303, '')
  const { text } = expect(await connection.get(path, { cookie: cookies.join('; ') }), 200, '<form')
  return { path, cookies, html: text }
}

/** Proves who somebody is, from the first page on. */
type Answer = (connection: Connection, page: Page, user: number, target: Target) => Promise<Reply>

const answerLido: Answer = async (connection, { path, cookies, html }, user) => {
  const headers = { cookie: cookies.join('; ') }
  const csrf = csrfOf(html)
  expect(await connection.post(path, encode({ csrf, identifier: emailOf(user) }), headers), 303, '')
  expect(await connection.get(path, headers), 200, 'name="password"')
  return expect(await connection.post(path, encode({ csrf, password: fixture.password }), headers), 303, '')
}

const answerByCode: Answer = async (connection, { path, cookies, html }, user, { mailbox }) => {
  const headers = { cookie: cookies.join('; ') }
  const csrf = csrfOf(html)
  const email = emailOf(user)
  const mailed = mailbox?.nextCode(email) ?? ''
  expect(await connection.post(path, encode({ csrf, identifier: email }), headers), 303, '')
  expect(await connection.get(path, headers), 200, 'name="code"')
  return expect(await connection.post(path, encode({ csrf, code: await mailed }), headers), 303, '')
}

/** Without a name: the passkey says whose it is. */
const answerByPasskey: Answer = async (connection, { path, cookies, html }, user, { passkeys }) => {
  const options = /data-options="([^"]*)"/.exec(html)?.[1]?.replaceAll('&quot;', '"').replaceAll('&amp;', '&') ?? '{}'
  const credential = passkeys[user]?.get(JSON.parse(options)) ?? ''
  const body = encode({ csrf: csrfOf(html), credential })
  return expect(await connection.post(`${path}?view=identify`, body, { cookie: cookies.join('; ') }), 303, '')
}

const answerBare: Answer = async (connection, { path, cookies }, user) => {
  const body = encode({ identifier: emailOf(user), password: fixture.password })
  return expect(await connection.post(path, body, { cookie: cookies.join('; ') }), 303, '')
}

const answering = { lido: answerLido, bare: answerBare }

const csrfOf = (html: string): string => /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? ''

interface Tokens {
  access_token: string
  refresh_token: string
  id_token: string
}

const tokensOf = (reply: Reply): Tokens => JSON.parse(expect(reply, 200, '"access_token"').text)

const verifier = 'a-verifier-that-is-long-enough-for-every-server-0123456789'

const request = encode({
  client_id: fixture.client.id,
  response_type: 'code',
  redirect_uri: fixture.redirectUri,
  scope: fixture.scope,
  state: 'a-state-that-comes-back',
  nonce: 'a-nonce-that-comes-back',
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
})

const authorize = `/authorize?${request}`
