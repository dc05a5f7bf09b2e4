import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'

/** A request exactly as it is written, also where no client would write it so. */
export interface Raw {
  method?: string
  path: string
  headers?: Record<string, string | string[]>
  body?: string
}

/** What came back to it. */
export interface Heard {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

export const sendTo = (base: string, { method = 'GET', path, headers = {}, body }: Raw): Promise<Heard> =>
  new Promise((resolve, reject) => {
    const { hostname, port, host } = new URL(base)
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }
    const options = { hostname, port, method, path, setHost: false, maxHeaderSize: 256 * 1024, agent: false as const }
    const sending = httpRequest({ ...options, headers: { Host: host, ...length, ...headers } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      )
    })
    // A server that refuses a body may close before all of it is sent.
    sending.on('error', reject)
    sending.end(body)
  })

/** `fetch` that reaches one server whatever host an address names, as a browser does where DNS leads there. */
export const fetchAt =
  (base: string): typeof fetch =>
  async (input, init = {}) => {
    const url = new URL(String(input))
    const headers = { ...Object.fromEntries(new Headers(init.headers)), Host: url.host }
    const { method = 'GET', body } = init
    const text = body === undefined || body === null ? undefined : String(body)
    const sent = { method, path: url.pathname + url.search, headers, ...(text === undefined ? {} : { body: text }) }
    const heard = await sendTo(base, sent)
    const answered = new Headers()
    for (const [name, value] of Object.entries(heard.headers))
      for (const one of [value ?? []].flat()) answered.append(name, one)
    const bodiless = heard.status === 204 || heard.status === 304
    return new Response(bodiless ? null : heard.text, { status: heard.status, headers: answered })
  }
