import { Client } from 'undici'

/** An answer, read to its end. */
export interface Reply {
  status: number
  text: string
  location: string
  /** What the answer set, as a browser would send it back. */
  cookies: string[]
}

/** One connection that is kept open, as one browser or one application has it; a request at a time. */
export interface Connection {
  get(path: string, headers?: Record<string, string>): Promise<Reply>
  post(path: string, body: string, headers?: Record<string, string>): Promise<Reply>
  close(): Promise<void>
}

export const open = (origin: string): Connection => {
  const client = new Client(origin, { pipelining: 1 })
  const send = async (method: 'GET' | 'POST', path: string, headers: Record<string, string>, body?: string) => {
    const answer = await client.request({ method, path, headers, body })
    const text = await answer.body.text()
    return {
      status: answer.statusCode,
      text,
      location: pathOf(answer.headers.location),
      cookies: cookiesOf(answer.headers['set-cookie']),
    }
  }
  return {
    get: (path, headers = {}) => send('GET', path, headers),
    post: (path, body, headers = {}) => send('POST', path, { ...headers, ...form }, body),
    close: () => client.close(),
  }
}

const form = { 'content-type': 'application/x-www-form-urlencoded' }

// Redirects name the public address; the server listens elsewhere.
const pathOf = (location: string | string[] | undefined): string =>
  typeof location === 'string' ? location.replace(/^https?:\/\/(?:lido\.example|127\.0\.0\.1:\d+)/, '') : ''

const cookiesOf = (lines: string | string[] | undefined): string[] =>
  [lines ?? []].flat().map((line) => line.slice(0, line.indexOf(';')))
