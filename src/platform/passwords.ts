import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import * as argon2 from '@node-rs/argon2'
import { readHash } from './foreign-hashes.ts'
import { Problem } from './problem.ts'

/**
 * Hashes passwords by argon2id as PHC strings. Texts are taken as they are, every code point and space, after NFC
 * (RFC 8265 section 4.2.2): keyboards send one letter in several ways. Both throw `invalid_request` over 1,024 bytes of
 * UTF-8, before anything is hashed, and `unavailable` where too many wait.
 */
export interface Passwords {
  hash(password: string): Promise<string>
  /**
   * False too where there is no hash, or one that cannot be read; that takes as long as a wrong password. A hash that
   * another system made takes its own time, until the sign-in that replaces it.
   */
  verify(hash: string | undefined, password: string): Promise<boolean>
  /** Whether a hash is weaker than those made today. */
  needsRehash(hash: string): boolean
  state(): { running: number; queued: number }
}

/**
 * Hashes share their threads with signing and files, so few run at once (by default one fewer than the cores) and few
 * wait (by default 64), first come first served.
 */
export const openPasswords = ({
  concurrency = Math.max(1, availableParallelism() - 1),
  queue = 64,
}: {
  concurrency?: number
  queue?: number
}): Passwords => {
  const { inTurn, state } = turns(concurrency, queue)
  const dummy = dummyHash()
  return {
    hash: async (password) => {
      const text = prepare(password)
      return inTurn(() => argon2.hash(text, strength))
    },
    verify: async (hash, password) => {
      const text = prepare(password)
      return inTurn(() => matches(hash ?? dummy, text, password, dummy))
    },
    needsRehash,
    state,
  }
}

const maxBytes = 1_024

/** OWASP's and security.md's floor: 19 MiB, two passes, one lane. */
const strength = { memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 }

/** What the package calls argon2id, and version 1.3 of it; its own names are ambient `const enum`s. */
const argon2id = 2
const version13 = 1

const prepare = (password: string): string => {
  if (Buffer.byteLength(password) > maxBytes)
    throw new Problem('invalid_request', { detail: `A password has at most ${maxBytes} bytes.` })
  return password.normalize('NFC')
}

// Random salt, random result: no password is known to match it, and a check costs what any other does.
const dummyHash = (): string => {
  const { memoryCost, timeCost, parallelism, outputLen } = strength
  const part = (bytes: number) => randomBytes(bytes).toString('base64').replaceAll('=', '')
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$${part(16)}$${part(outputLen)}`
}

const matches = async (hash: string, text: string, typed: string, dummy: string): Promise<boolean> => {
  try {
    return await (hash.startsWith('$argon2') ? argon2.verify(hash, text) : matchesForeign(hash, text, typed))
  } catch {
    await argon2.verify(dummy, text)
    return false
  }
}

// Other systems mostly hash a text in whichever form it came.
const matchesForeign = async (hash: string, text: string, typed: string): Promise<boolean> => {
  const reading = readHash(hash)
  if (reading.is === 'refused') throw new Error(reading.why)
  return (await reading.matches(text)) || (typed !== text && (await reading.matches(typed)))
}

const needsRehash = (hash: string): boolean => {
  try {
    const { algorithm, version, memoryCost, timeCost, saltLen, outputLen } = argon2.parseOptions(hash)
    const modern = algorithm === argon2id && version === version13
    const strong = memoryCost >= strength.memoryCost && timeCost >= strength.timeCost
    return !(modern && strong && saltLen >= 16 && outputLen >= strength.outputLen)
  } catch {
    return true
  }
}

const turns = (concurrency: number, queue: number) => {
  const waiting: (() => void)[] = []
  let running = 0

  const enter = async (): Promise<void> => {
    if (running < concurrency) {
      running += 1
      return
    }
    if (waiting.length >= queue) throw new Problem('unavailable', { retryAfter: 2 })
    await new Promise<void>((resolve) => waiting.push(resolve))
  }

  // Whoever leaves hands the turn on, so that a newcomer cannot slip in before those who wait.
  const leave = (): void => {
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }

  return {
    async inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
      await enter()
      try {
        return await work()
      } finally {
        leave()
      }
    },
    state: () => ({ running, queued: waiting.length }),
  }
}
