import type { Fetch, Reply } from '../../platform/fetch.ts'
import type { Trouble } from './source.ts'

/** What came back: `body` is its JSON, and undefined where it is empty. */
export interface Heard {
  status: number
  headers: Reply['headers']
  body: unknown
}

/** Asks for JSON; undefined where nothing came that can be understood. */
export const ask = async (fetch: Fetch, url: string, init?: Parameters<Fetch>[1]): Promise<Heard | undefined> => {
  try {
    const reply = await fetch(url, init)
    const { status, headers } = reply
    return { status, headers, body: reply.text().trim() === '' ? undefined : reply.json() }
  } catch {
    return undefined
  }
}

export const unavailable = (detail: string): Trouble => ({ is: 'unavailable', detail })

export const misconfigured = (detail: string): Trouble => ({ is: 'misconfigured', detail })

/** Says nothing of why: whoever chose the address may be asking what is behind it. */
export const silent = (who: string): Trouble =>
  unavailable(`${who} gave no usable answer: it is away, too slow, not permitted by EGRESS_ALLOW, or answers no JSON`)

/** An answer that stands for nothing known. */
export const strange = (who: string, { status }: Heard): Trouble =>
  status >= 300 && status < 400
    ? unavailable(`${who} sends elsewhere (status ${status}), and redirects are not followed`)
    : unavailable(`${who} answered with status ${status}, which says nothing about anybody`)

/** RFC 9110 section 10.2.3, or the moment in Unix seconds that `x-ratelimit-reset` names; seconds of at most an hour. */
export const rateLimited = (who: string, { headers }: Heard, now: Date): Trouble => {
  const after = headers['retry-after'] ?? ''
  const reset = headers['x-ratelimit-reset'] ?? ''
  const wait = whole.test(after) ? Number(after) : whole.test(reset) ? Number(reset) - now.getTime() / 1000 : undefined
  const retryAfter = wait === undefined ? undefined : Math.min(Math.max(Math.ceil(wait), 1), 3600)
  return { is: 'rate_limited', detail: `${who} was asked too often (status 429)`, retryAfter }
}

const whole = /^\d{1,12}$/

/** What several questions come to within three seconds, and `late` otherwise. */
export const inTime = async <Result>(work: Promise<Result>, late: Result): Promise<Result> => {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<Result>((resolve) => {
    timer = setTimeout(() => resolve(late), 3_000)
  })
  return Promise.race([work, tooLate]).finally(() => clearTimeout(timer))
}
