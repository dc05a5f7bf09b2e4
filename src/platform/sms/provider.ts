import type { Fetch } from '../fetch.ts'

/** A text message on its way to one mobile number in E.164. */
export interface Text {
  to: string
  text: string
}

export interface Tools {
  fetch: Fetch
  now(): Date
}

/** Hands a text message on. Rejects where it was not taken: with `Undeliverable` where asking again is of no use. */
export type SendText = (text: Text) => Promise<void>

/** Who sends text messages. A new one is a file in this folder and a line in index.ts. */
export interface Provider {
  /** Schemes of SMS_URL, with the colon. */
  readonly protocols: readonly string[]
  /** How its SMS_URL looks. */
  readonly form: string
  /** Reads its SMS_URL, which may hold secrets; undefined where something is missing from it. */
  read(url: URL): ((tools: Tools) => SendText) | undefined
}

/** Whoever should have taken a message has refused it for good. Says nothing of what was in it, nor to whom. */
export class Undeliverable extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Undeliverable'
  }
}

/**
 * Throws where an answer says that the message was not taken. 408 and 429 say "later", as everything but another 4xx
 * does (RFC 9110 section 15.5).
 */
export const checkTaken = (service: string, status: number): void => {
  if (status >= 200 && status <= 299) return
  const told = `${service} answered ${status}`
  if (status >= 400 && status <= 499 && status !== 408 && status !== 429) throw new Undeliverable(told)
  throw new Error(told)
}

/** Milliseconds for one message. */
export const timeoutMs = 8_000
