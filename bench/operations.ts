import { createHash } from 'node:crypto'
import { type Connection, open, type Reply } from './connection.ts'
import { emailOf, fixture } from './fixture.ts'

/** Where an operation is done: Lido, or the engine alone. */
export interface Target {
  name: 'lido' | 'bare'
  origin: string
  /** What every path of the issuer begins with. */
  prefix: string
  /** How many users may sign in, so that no two workers are the same person at once. */
  users: number
}

/** Does the operation once; throws where the answer is not what it has to be. */
export type Once = () => Promise<void>

export interface Worker {
  once: Once
  close(): Promise<void>
}

/** Makes the n-th of many workers ready. */
export type Operation = (target: Target, n: number, of: number) => Promise<Worker>

export const operationNames = [
  'discovery',
  'jwks',
  'client_credentials',
  'refresh',
  'userinfo',
  'introspection',
  'page',
  'sign_in_unhashed',
  'sign_in',
] as const
export type OperationName = (typeof operationNames)[number]

/** Every operation by its name; the two sign-ins differ by what the server does with the password. */
export const operations: Record<OperationName, Operation> = {
  discovery: reading('/.well-known/openid-configuration', '"token_endpoint"'),
  jwks: reading('/jwks', '"keys"'),
  client_credentials: async (target) => {
    const { resource, machine } = fixture
    const body = encode({ grant_type: 'client_credentials', resource: resource.uri, scope: resource.scope })
    return worker(target, async (connection) => {
      const { access_token: token } = tokensOf(await connection.post(`${target.prefix}/token`, body, basic(machine)))
      if (token.split('.').length !== 3) throw new Error('The access token is no JWT.')
    })
  },
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
  page: async (target) =>
    worker(target, async (connection) => {
      await openPage(connection, target)
    }),
  sign_in_unhashed: signingIn,
  sign_in: signingIn,
}

const worker = (target: Target, once: (connection: Connection) => Promise<void>): Worker => {
  const connection = open(target.origin)
  return { once: () => once(connection), close: connection.close }
}

function reading(path: string, needle: string): Operation {
  return async (target) =>
    worker(target, async (connection) => {
      expect(await connection.get(`${target.prefix}${path}`), 200, needle)
    })
}

async function signingIn(target: Target, n: number, of: number): Promise<Worker> {
  const own = Math.floor(target.users / of)
  let turn = 0
  return worker(target, async (connection) => {
    // A large prime walks through all of them, far from one to the next.
    turn += 7919
    await signIn(connection, target, n + of * (turn % own))
  })
}

const signInOnce = async (target: Target, user: number): Promise<Tokens> => {
  const connection = open(target.origin)
  try {
    return await signIn(connection, target, user)
  } finally {
    await connection.close()
  }
}

/** A whole sign-in of a browser that was never here: authorize, forms, code, tokens. */
const signIn = async (connection: Connection, target: Target, user: number): Promise<Tokens> => {
  const page = await openPage(connection, target)
  const answered =
    target.name === 'lido' ? await answerLido(connection, page, user) : await answerBare(connection, page, user)
  const back = expect(await connection.get(answered.location, { cookie: page.cookies.join('; ') }), 303, '')
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

const answerLido = async (connection: Connection, { path, cookies, html }: Page, user: number): Promise<Reply> => {
  const headers = { cookie: cookies.join('; ') }
  const csrf = /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? ''
  expect(await connection.post(path, encode({ csrf, identifier: emailOf(user) }), headers), 303, '')
  expect(await connection.get(path, headers), 200, 'name="password"')
  return expect(await connection.post(path, encode({ csrf, password: fixture.password }), headers), 303, '')
}

const answerBare = async (connection: Connection, { path, cookies }: Page, user: number): Promise<Reply> => {
  const body = encode({ identifier: emailOf(user), password: fixture.password })
  return expect(await connection.post(path, body, { cookie: cookies.join('; ') }), 303, '')
}

interface Tokens {
  access_token: string
  refresh_token: string
  id_token: string
}

const tokensOf = (reply: Reply): Tokens => JSON.parse(expect(reply, 200, '"access_token"').text)

const expect = (reply: Reply, status: number, needle: string): Reply => {
  if (reply.status === status && reply.text.includes(needle)) return reply
  throw new Error(`Expected ${status} with ${needle}, got ${reply.status}: ${reply.text.slice(0, 300)}`)
}

const encode = (fields: Record<string, string>) => new URLSearchParams(fields).toString()

const basic = ({ id, secret }: { id: string; secret: string }) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})

const inTurn = async <Made>(count: number, make: () => Promise<Made>): Promise<Made[]> => {
  const made: Made[] = []
  while (made.length < count) made.push(await make())
  return made
}

const verifier = 'a-verifier-that-is-long-enough-for-every-server-0123456789'

const authorize = `/authorize?${encode({
  client_id: fixture.client.id,
  response_type: 'code',
  redirect_uri: fixture.redirectUri,
  scope: fixture.scope,
  state: 'a-state-that-comes-back',
  nonce: 'a-nonce-that-comes-back',
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
})}`
