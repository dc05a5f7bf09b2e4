import type { Why } from './protocol.ts'

/** What the interpreter's side may call; a script never gets hold of it, and could only spoil its own run with it. */
export interface Host {
  log(text: string): void
  done(output: string): void
  failed(why: Why, detail: string): void
  ask(request: string): void
}

/** What the child calls, on the interpreter's side. */
export interface Stage {
  allowFetch(): void
  start(called: unknown, input: string): void
  failed(error: unknown): void
  settle(answer: string): void
}

/** Runs inside the interpreter, as source text: it can use nothing from around it. */
export const prelude = (host: Host, most: { output: number; logs: number }): Stage => {
  // A script may replace what is built in; what is kept here stays what it was.
  const { parse, stringify } = JSON
  const waiting: Record<number, { resolve(answer: unknown): void; reject(error: Error): void }> = Object.create(null)
  let asked = 0

  const say = (value: unknown): string => {
    try {
      return typeof value === 'string' ? value : (stringify(value) ?? String(value))
    } catch {
      return '(something that cannot be shown)'
    }
  }

  const cut = (text: string): string => (text.length > most.logs ? text.slice(0, most.logs) : text)

  const log = (...values: unknown[]): void => {
    let line = ''
    for (let at = 0; at < values.length; at += 1) line = cut(`${line}${at > 0 ? ' ' : ''}${cut(say(values[at]))}`)
    host.log(line)
  }

  const describe = (error: unknown): string => {
    if (!(error instanceof Error)) return `It threw ${say(error)}`
    const place = /\((script\.js:\d+)/.exec(`${error.stack}`)
    return `${error.name}: ${error.message}${place ? ` (${place[1]})` : ''}`
  }

  const failed = (error: unknown): void => {
    const full = error instanceof Error && error.message === 'out of memory'
    host.failed(full ? 'memory' : 'threw', describe(error).slice(0, 1_000))
  }

  const give = (output = 'null'): void => {
    if (output.length > most.output) host.failed('too_large', 'What it gave back is too long')
    else host.done(output)
  }

  const finish = (value: unknown): void => {
    try {
      give(stringify(value))
    } catch (error) {
      host.failed('bad_output', `What it gave back is no JSON: ${describe(error)}`.slice(0, 1_000))
    }
  }

  const start = async (called: unknown, input: string): Promise<void> => {
    try {
      finish(await (called as (input: unknown) => unknown)(parse(input)))
    } catch (error) {
      failed(error)
    }
  }

  const answerOf = (text: string) => {
    const { status, headers, text: body } = parse(text)
    return {
      status,
      ok: status >= 200 && status < 300,
      headers: { get: (name: unknown) => headers[`${name}`.toLowerCase()] ?? null },
      text: async () => body,
      json: async () => parse(body),
    }
  }

  const settle = (text: string): void => {
    const { id, ok, detail } = parse(text)
    const one = waiting[id]
    delete waiting[id]
    if (ok) one?.resolve(answerOf(text))
    else one?.reject(new TypeError(detail))
  }

  const fetch = (url: unknown, wanted: Record<string, unknown> = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      asked += 1
      waiting[asked] = { resolve, reject }
      const { method = 'GET', headers = {}, body } = wanted
      host.ask(stringify({ id: asked, url: `${url}`, method, headers, body }))
    })

  const console = { log, info: log, warn: log, error: log, debug: log }
  Object.assign(globalThis, { console })
  return { allowFetch: () => void Object.assign(globalThis, { fetch }), start, failed, settle }
}
