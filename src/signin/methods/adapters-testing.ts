import { generateSecret } from 'otplib'
import type { Browser } from '../../browser-testing.ts'
import type { Pool } from '../../directory/pools.ts'
import type { makePool } from '../../pages/fixtures-testing.ts'
import { givePasskey, optionsOn } from '../../pages/passkeys-testing.ts'
import { codeFor, giveTotp } from '../../pages/second-factor-testing.ts'
import type { TestLido } from '../../testing.ts'
import type { Authenticator } from '../authenticator-testing.ts'
import { renewCodes } from '../recovery-codes.ts'

/** Somebody of a test, by all that they go by. */
export interface Person {
  id: string
  email: string
  mobile: string
}

/** What a form sends. */
export type Answer = Record<string, string>

/** How a test answers a method, and what holds for it. A method has one entry in `adapters` for each place it is taken in. */
interface Adapter {
  name: string
  /** What its pool is called. */
  slug: string
  settings: NonNullable<Parameters<typeof makePool>[2]>
  identifierOf(person: Person): string
  /** The right answer to the page that a browser shows, of the message after the first `since` of them where it comes in one. */
  right(lido: TestLido, person: Person, since: number, browser: Browser): Promise<Answer>
  /** The `n`th of many wrong answers. */
  wrong(right: Answer, n: number): Answer
  /** Something that looks like a right answer. */
  made: Answer
  /** Whether its time is over after ten minutes, it works once, and only where it was asked for. */
  expires: boolean
  once: boolean
  bound: boolean
  /** Whether it comes after a password, and whether another method comes before it there. */
  second?: boolean
  behind?: boolean
  /** Gives somebody what they answer with, where they are not born with it. */
  give?(lido: TestLido, pool: Pool, person: Person): Promise<void>
  /** Whether a newer one takes its place, and whether too many wrong ones close the way in. */
  renewed: boolean
  closes: boolean
}

const password = 'correct horse battery staple'

const nextCode = ({ code = '' }: Answer, n: number): Answer => ({
  code: String((Number(code) + n + 1) % 1_000_000).padStart(6, '0'),
})

const sent = {
  made: { code: '000000' },
  wrong: nextCode,
  expires: true,
  once: true,
  bound: true,
  renewed: true,
  closes: true,
}

/** The code that the page behind a link shows to a browser that did not begin. */
const codeBehind = async (link: string): Promise<string> => {
  const page = await fetch(link)
  return /<p class="shown-code" dir="ltr">(\d+)</.exec(await page.text())?.[1] ?? ''
}

/** What people were given, by their ids. */
const keys = new Map<string, Authenticator>()
const seeds = new Map<string, string>()
const codes = new Map<string, string[]>()

const given = <Thing>(things: Map<string, Thing>, { id, email }: Person): Thing => {
  const thing = things.get(id)
  if (thing === undefined) throw new Error(`${email} was given nothing.`)
  return thing
}

const giveKey = async (lido: TestLido, pool: Pool, { id }: Person): Promise<void> => {
  keys.set(id, await givePasskey(lido, pool, id))
}

const giveSeed = async (lido: TestLido, pool: Pool, { id }: Person): Promise<void> => {
  seeds.set(id, await giveTotp(lido, pool, id, generateSecret({ length: 20 })))
}

const giveCodes = async (lido: TestLido, pool: Pool, person: Person): Promise<void> => {
  const { db, clock } = lido.services
  await giveSeed(lido, pool, person)
  codes.set(person.id, await renewCodes(db, clock.now(), pool.id, person.id))
}

/** An assertion with another signature. */
const forged = ({ credential = '{}' }: Answer, n: number): Answer => {
  const { response, ...rest } = JSON.parse(credential)
  const signature = Buffer.from(response.signature, 'base64url')
  signature[signature.length - 1] = ((signature.at(-1) ?? 0) + n + 1) % 256
  return {
    credential: JSON.stringify({ ...rest, response: { ...response, signature: signature.toString('base64url') } }),
  }
}

const nobodys = Buffer.alloc(32).toString('base64url')

const emailCode: Adapter = {
  ...sent,
  name: 'email_code',
  slug: 'email-code',
  settings: { sign_in_methods: ['email_code', 'password'] },
  identifierOf: ({ email }) => email,
  right: async (lido, { email }, since) => ({ code: (await lido.message(email, since)).code }),
}

const smsCode: Adapter = {
  ...sent,
  name: 'sms_code',
  slug: 'sms-code',
  settings: { identifiers: ['email', 'mobile'], sign_in_methods: ['sms_code', 'password'] },
  identifierOf: ({ mobile }) => mobile,
  right: async (lido, { mobile }, since) => ({ code: (await lido.message(mobile, since)).code }),
}

const passkey: Adapter = {
  name: 'passkey',
  slug: 'passkey',
  settings: { sign_in_methods: ['passkey', 'password'] },
  identifierOf: ({ email }) => email,
  give: giveKey,
  right: async (_lido, person, _since, browser) => ({
    credential: given(keys, person).get(optionsOn(browser), { counter: 0 }),
  }),
  wrong: forged,
  made: {
    credential: JSON.stringify({
      id: nobodys,
      rawId: nobodys,
      type: 'public-key',
      response: { clientDataJSON: nobodys, authenticatorData: nobodys, signature: nobodys },
    }),
  },
  expires: true,
  once: true,
  bound: true,
  renewed: false,
  closes: false,
}

/** Every method on its own. */
const alone: readonly Adapter[] = [
  {
    name: 'password',
    slug: 'password',
    settings: { sign_in_methods: ['password'] },
    identifierOf: ({ email }) => email,
    right: async () => ({ password }),
    wrong: (_right, n) => ({ password: `not this one ${n}` }),
    made: { password },
    expires: false,
    once: false,
    bound: false,
    renewed: false,
    closes: true,
  },
  emailCode,
  smsCode,
  {
    ...sent,
    name: 'magic_link',
    slug: 'magic-link',
    settings: { sign_in_methods: ['magic_link', 'password'] },
    identifierOf: ({ email }) => email,
    right: async (lido, { email }, since) => ({ code: await codeBehind((await lido.message(email, since)).link) }),
  },
  passkey,
]

const afterPassword = (...second_factors: NonNullable<Adapter['settings']['second_factors']>): Adapter['settings'] => ({
  sign_in_methods: ['password'],
  second_factor: 'required',
  second_factors,
})

/** Every method as it comes after a password. */
const second: readonly Adapter[] = [
  { ...emailCode, slug: 'email-code-second', settings: afterPassword('email_code'), second: true },
  {
    ...smsCode,
    slug: 'sms-code-second',
    settings: { ...afterPassword('sms_code', 'totp'), identifiers: ['email', 'mobile'] },
    second: true,
  },
  { ...passkey, slug: 'passkey-second', settings: afterPassword('passkey'), second: true },
  {
    name: 'totp',
    slug: 'totp',
    settings: afterPassword('totp'),
    second: true,
    identifierOf: ({ email }) => email,
    give: giveSeed,
    right: async (lido, person) => ({ code: codeFor(lido, given(seeds, person)) }),
    wrong: nextCode,
    made: { code: '000000' },
    expires: true,
    once: true,
    bound: false,
    renewed: false,
    closes: true,
  },
  {
    name: 'recovery_code',
    slug: 'recovery-code',
    settings: afterPassword('totp', 'recovery_code'),
    second: true,
    behind: true,
    identifierOf: ({ email }) => email,
    give: giveCodes,
    right: async (_lido, person) => ({ code: given(codes, person)[0] ?? '' }),
    // Another beginning, for the right code may end in any two digits.
    wrong: ({ code = '' }, n) => ({
      code: `${code.startsWith('2') ? 3 : 2}${code.slice(1, -2)}${String(n).padStart(2, '0')}`,
    }),
    made: { code: 'ABCDEF-GHJKMN-PQRSTV-WXYZ01' },
    expires: false,
    once: true,
    bound: false,
    renewed: false,
    closes: false,
  },
]

export const adapters: readonly Adapter[] = [...alone, ...second]
