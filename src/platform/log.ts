import { destination as destinationOf, type LogFn, type Logger, pino, stdTimeFunctions } from 'pino'

export type Log = Logger

/**
 * One JSON line an event, by default on standard output. What a name says is secret is left out at any depth, query
 * strings are cut, and an error tells its kind, message, frames and causes, never what else was hung on it.
 */
export const openLog = ({
  level,
  destination,
  buffered,
}: {
  level: string
  /** Whether lines may wait a moment and go out together; a process that is killed outright loses the last of them. */
  buffered?: boolean
  /** Any writable stream will do. */
  destination?: { write(line: string): unknown }
}): Log => {
  const log = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      serializers: { err: (error: unknown) => error },
      formatters: { level: (label) => ({ level: label }), log: cleanFields },
      hooks: {
        logMethod(args, method) {
          method.apply(this, withMessage(args))
        },
        streamWrite: (line) => line.replace(unprintable, escapeCharacter),
      },
    },
    destination ?? (buffered ? openBuffer() : undefined),
  )
  // Pino's own formatter for bindings is not inherited by children; this is, as children have their parent as prototype.
  const { child } = log
  return Object.assign(log, {
    child(this: Log, ...[bindings, options]: Parameters<Log['child']>) {
      return child.call(this, cleanFields(bindings), options)
    },
  })
}

const openBuffer = () => {
  const buffer = destinationOf({ sync: false, minLength: 8192 })
  setInterval(() => buffer.flush(), 500).unref()
  process.on('exit', () => buffer.flushSync())
  return buffer
}

const hidden = '[hidden]'
const maxDepth = 6

// Compared without case and punctuation; the endings take in `new_password`, `refreshToken`, `set-cookie`, ….
const secretNames = new Set([
  'code',
  'codes',
  'devicecode',
  'usercode',
  'recoverycodes',
  'link',
  'html',
  'text',
  'body',
  'otp',
  'pin',
  'csrf',
  'passwordhash',
  'sealed',
])
const secretEndings = /(password|passwd|secret|token|cookie|authorization|assertion|verifier|apikey|privatekey)s?$/

const addressNames = new Set(['url', 'uri', 'href', 'path', 'location', 'referer', 'referrer', 'link'])

const isSecret = (name: string): boolean => {
  const plain = name.toLowerCase().replace(/[^a-z]/g, '')
  return secretNames.has(plain) || secretEndings.test(plain)
}

const cleanFields = (fields: Record<string, unknown>): Record<string, unknown> => cleanObject(fields, 0)

const cleanObject = (fields: object, depth: number): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, cleanField(name, value, depth)]))

const cleanField = (name: string, value: unknown, depth: number): unknown => {
  if (value === undefined || value === null || typeof value === 'boolean') return value
  if (isSecret(name)) return hidden
  if (typeof value === 'string' && addressNames.has(name.toLowerCase())) return withoutQuery(value)
  return clean(value, depth + 1)
}

const clean = (value: unknown, depth: number): unknown => {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > maxDepth) return '[deep]'
  if (value instanceof Error) return cleanError(value, depth)
  if (value instanceof Date) return value
  if (value instanceof URL) return withoutQuery(value.href)
  if (ArrayBuffer.isView(value)) return '[bytes]'
  if (Array.isArray(value)) return value.map((item) => clean(item, depth + 1))
  if ('toJSON' in value && typeof value.toJSON === 'function') return clean(value.toJSON(), depth + 1)
  return cleanObject(value, depth)
}

const withoutQuery = (address: string): string => address.replace(/[?#].*$/s, '?…')

const cleanError = (error: Error, depth: number): Record<string, unknown> => {
  const { code, status, constraint, syscall, errors } = error as Error & Record<string, unknown>
  return {
    type: error.name,
    message: messageOf(error),
    ...Object.fromEntries(Object.entries({ code, status, constraint, syscall }).filter(([, value]) => isPlain(value))),
    stack: framesOf(error),
    ...(error.cause === undefined ? {} : { cause: causeOf(error.cause, depth) }),
    ...(Array.isArray(errors) ? { errors: errors.map((each) => causeOf(each, depth)) } : {}),
  }
}

// Without a message of its own a line would repeat the error's as it is.
const withMessage = (args: Parameters<LogFn>): Parameters<LogFn> => {
  const [first, message] = args as [unknown, unknown]
  const error = first instanceof Error ? first : (first as { err?: unknown } | null)?.err
  return error instanceof Error && message === undefined ? ([first, messageOf(error)] as Parameters<LogFn>) : args
}

const isPlain = (value: unknown): boolean => typeof value === 'string' || typeof value === 'number'

// A cause that is no error may be anything, a request's body included.
const causeOf = (cause: unknown, depth: number): unknown => (cause instanceof Error ? clean(cause, depth + 1) : hidden)

// V8 quotes what it could not parse: `Unexpected token 'h', "hunter2" is not valid JSON`.
const messageOf = ({ name, message }: Error): string =>
  name === 'SyntaxError' ? message.replace(/['"].*['"]/gs, '"…"') : message

// The first lines of a stack repeat the message, which may quote anything.
const framesOf = ({ stack = '' }: Error): string =>
  stack
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .map((line) => line.trim())
    .join('\n')

// JSON escapes the control characters below 32; these others can still move a terminal's cursor or end a line.
const unprintable = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

const escapeCharacter = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
