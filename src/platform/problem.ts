/** Everything that goes wrong on purpose: a code, the HTTP status that says it, and a title in plain English. */
const catalogue = {
  invalid_request: { status: 400, title: 'The request could not be understood' },
  unauthorized: { status: 401, title: 'Please sign in' },
  forbidden: { status: 403, title: 'This is not allowed' },
  form_expired: { status: 403, title: 'This form is no longer valid' },
  not_found: { status: 404, title: 'There is nothing here' },
  method_not_allowed: { status: 405, title: 'This address does not answer that method' },
  conflict: { status: 409, title: 'This clashes with something that exists' },
  expired: { status: 410, title: 'This page has expired' },
  precondition_failed: { status: 412, title: 'It was changed in the meantime' },
  too_large: { status: 413, title: 'That is too much to read' },
  unsupported_type: { status: 415, title: 'This kind of content is not read here' },
  unprocessable: { status: 422, title: 'Some values are not valid' },
  too_many_requests: { status: 429, title: 'Too many tries' },
  unavailable: { status: 503, title: 'Please try again in a moment' },
} as const satisfies Record<string, { status: number; title: string }>

export type ProblemCode = keyof typeof catalogue

interface ProblemOptions {
  /** One sentence for whoever caused it; never a secret. */
  detail?: string
  /** Seconds, sent as Retry-After (RFC 9110 section 10.2.3). */
  retryAfter?: number
  errors?: { pointer: string; detail: string }[]
  /** A closer wording than the code's own, from the catalogue of words. */
  key?: string
  cause?: unknown
}

/** The one way to end a request on purpose; every door catches it once and words it for its readers. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly status: number
  readonly title: string
  readonly detail: string | undefined
  readonly retryAfter: number | undefined
  readonly key: string | undefined
  readonly errors: { pointer: string; detail: string }[] | undefined

  constructor(code: ProblemCode, options: ProblemOptions = {}) {
    super(options.detail ?? catalogue[code].title, { cause: options.cause })
    this.name = 'Problem'
    this.code = code
    this.status = catalogue[code].status
    this.title = catalogue[code].title
    this.detail = options.detail
    this.retryAfter = options.retryAfter
    this.key = options.key
    this.errors = options.errors
  }
}
