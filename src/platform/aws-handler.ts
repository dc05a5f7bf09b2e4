import type { Fetch } from './fetch.ts'

interface Request {
  protocol: string
  hostname: string
  port?: number | undefined
  path: string
  method: string
  headers: Record<string, string>
  body?: string | Uint8Array
}

/** A request handler of the AWS SDK that goes out by the guarded fetch: checked address, no redirect, 1 MiB; 3 s unless told. */
export const guardedHandler = (fetch: Fetch, timeoutMs?: number) => ({
  async handle({ protocol, hostname, port, path, method, headers, body }: Request) {
    const url = `${protocol}//${hostname}${port ? `:${port}` : ''}${path}`
    const limits = timeoutMs === undefined ? {} : { timeoutMs }
    const reply = await fetch(url, { method, headers, ...limits, ...(body === undefined ? {} : { body }) })
    return { response: { statusCode: reply.status, headers: { ...reply.headers }, body: Buffer.from(reply.text()) } }
  },
  updateHttpClientConfig() {},
  httpHandlerConfigs: () => ({}),
})
