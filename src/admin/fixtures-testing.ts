import assert from 'node:assert/strict'
import { type TestLido, testLido } from '../testing.ts'

/** The program with a machine client that may do everything, and a way to call its admin API. */
export interface AdminLido extends TestLido {
  token(scope?: string): Promise<string>
  /** Calls the API; the body goes as JSON, a token with every scope unless `headers` has another. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>
  /** Makes something by a POST, which has to succeed; answers what was made. */
  make(path: string, body: object): Promise<Record<string, unknown> & { id: string }>
  /** Everything in a list, read page by page. */
  list(path: string): Promise<Record<string, unknown>[]>
}

export interface ApiAnswer {
  status: number
  headers: Headers
  body: Record<string, unknown> & { items?: Record<string, unknown>[]; id?: string }
}

const isJson = ({ headers }: Response): boolean =>
  /^application\/(problem\+)?json\b/.test(headers.get('Content-Type') ?? '')

const id = 'bootstrap'
const secret = 'a-bootstrap-secret-that-only-this-test-knows'

export const adminLido = async (
  env: Record<string, string> = {},
  options: Parameters<typeof testLido>[1] = {},
): Promise<AdminLido> => {
  const lido = await testLido({ BOOTSTRAP_CLIENT_ID: id, BOOTSTRAP_CLIENT_SECRET: secret, ...env }, options)
  const tokens = new Map<string, Promise<string>>()
  const fetchToken = async (scope: string) => {
    const body = { grant_type: 'client_credentials', scope, resource: `${lido.url}/api/v1` }
    const response = await fetch(`${lido.url}/w/admin/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
      body: new URLSearchParams(body),
    })
    const { access_token } = (await response.json()) as { access_token?: string }
    if (!access_token) throw new Error(`No token for ${scope}: ${response.status}`)
    return access_token
  }
  const token = (scope = 'admin') => {
    const known = tokens.get(scope) ?? fetchToken(scope)
    tokens.set(scope, known)
    return known
  }
  const call: AdminLido['call'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${lido.url}/api/v1${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${await token()}`,
        ...(body === undefined
          ? {}
          : { 'Content-Type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: isJson(response) ? JSON.parse(text) : { text } }
  }
  const make: AdminLido['make'] = async (path, body) => {
    const made = await call('POST', path, body)
    assert.equal(made.status, 201, `${path}: ${JSON.stringify(made.body)}`)
    return { ...made.body, id: String(made.body.id) }
  }
  const list: AdminLido['list'] = async (path) => {
    const items: Record<string, unknown>[] = []
    for (let cursor: unknown = ''; cursor !== null; ) {
      const { status, body } = await call('GET', `${path}${cursor ? `&cursor=${cursor}` : ''}`)
      assert.equal(status, 200, JSON.stringify(body))
      items.push(...(body.items ?? []))
      cursor = body.next_cursor
    }
    return items
  }
  return { ...lido, token, call, make, list }
}

/** The events of a family (`group.%`) about a user, in order. */
export const eventsAbout = ({ services }: AdminLido, userId: string, family: string) =>
  services.db
    .selectFrom('events')
    .select(['type', 'data'])
    .where('userId', '=', userId)
    .where('type', 'like', family)
    .orderBy('id')
    .execute()
