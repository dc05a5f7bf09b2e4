/** What the parent hands over; a child gets one. */
export interface Job {
  code: string
  call: string
  /** JSON. */
  input: string
  fetch: boolean
}

/** What a script asked its `fetch` for. */
export interface Request {
  id: number
  url: string
  method: string
  headers: Record<string, string>
  body?: string | undefined
}

/** What came of it. */
export type Answer = { id: number } & (
  | { ok: true; status: number; headers: Record<string, string>; text: string }
  | { ok: false; detail: string }
)

export type Why = 'threw' | 'timeout' | 'memory' | 'too_large' | 'bad_output' | 'crashed'

/** `output` is JSON. */
export type Verdict = { ok: true; output: string } | { ok: false; why: Why; detail: string }

/** What a child sends. After `waiting` it does nothing until it has one answer. */
export type Message =
  | { is: 'ready' }
  | { is: 'waiting'; requests: Request[] }
  | { is: 'done'; verdict: Verdict; logs: string }
