import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneFactor, phishingResistant, twoFactors, type WantedAcr } from '../directory/acr.ts'
import { type Attempt, beginAttempt, type Factor, type Proof } from './attempt.ts'
import type { Policy, Way } from './policy.ts'
import { nextStep, type Step, type View } from './step.ts'

const identifier = { kind: 'email', value: 'ada@example.org', typed: 'ada@example.org' } as const
const proofBy = (method: string, amr: string, ...factors: Factor[]): Proof => ({
  method,
  amr: [amr],
  factors,
  phishingResistant: false,
  at: 0,
  user: 'u',
  era: 0,
})
const proof = proofBy('password', 'pwd', 'knowledge')
const mailbox = proofBy('email_code', 'otp', 'mailbox')
const authenticator = proofBy('totp', 'otp', 'possession')
const key: Proof = { ...proofBy('passkey', 'pop', 'possession', 'inherence'), phishingResistant: true }
const bareKey: Proof = { ...key, factors: ['possession'] }
const session: Proof = { ...proof, method: 'session' }

const way = (name: string, ...factors: Factor[]): Way => ({
  name,
  factors,
  phishingResistant: false,
  listed: true,
  sends: false,
})
const byApp = way('totp', 'possession')
const byMail: Way = { ...way('email_code', 'mailbox'), sends: true }
const byCodes = way('recovery_code', 'possession')
const byPassword: Way = { ...way('password', 'knowledge'), listed: false }
const byKey: Way = { ...way('passkey', 'possession', 'inherence'), phishingResistant: true }
const twice: WantedAcr = { values: [twoFactors], essential: false }
const surely: WantedAcr = { values: [phishingResistant], essential: true }
const registration = { identifier, profile: {}, challenge: 'c' }
const attempt = (changes: Partial<Attempt> = {}): Attempt => ({
  ...beginAttempt({ workspaceId: 'w', id: 'a', expiresAt: new Date(0) }),
  ...changes,
})
const policy = (changes: Partial<Policy> = {}): Policy => ({
  pools: ['p'],
  homeRealm: false,
  identifiers: ['email'],
  country: null,
  methods: ['password', 'email_code'],
  registration: true,
  second: false,
  acr: { values: [oneFactor], essential: false },
  usable: [],
  enrollable: [],
  ...changes,
})

const table: [string, Attempt, Policy, View | undefined, Step][] = [
  ['asks who it is first', attempt(), policy(), undefined, { do: 'identify' }],
  ['lets nobody in where no pool is connected', attempt(), policy({ pools: [] }), undefined, { do: 'closed' }],
  [
    'asks which pool where there are several',
    attempt(),
    policy({ pools: ['p', 'q'] }),
    undefined,
    { do: 'choose', pools: ['p', 'q'] },
  ],
  [
    'asks for the address first where its domain may tell the pool',
    attempt(),
    policy({ pools: ['p', 'q'], homeRealm: true }),
    undefined,
    { do: 'identify' },
  ],
  [
    'asks which pool where the domain told none',
    attempt({ identifier }),
    policy({ pools: ['p', 'q'], homeRealm: true }),
    undefined,
    { do: 'choose', pools: ['p', 'q'] },
  ],
  [
    'asks for the first method of the pool',
    attempt({ identifier }),
    policy(),
    undefined,
    { do: 'prove', method: 'password', methods: ['password', 'email_code'] },
  ],
  [
    'asks for the method that was chosen',
    attempt({ identifier, method: 'email_code' }),
    policy(),
    undefined,
    { do: 'prove', method: 'email_code', methods: ['password', 'email_code'] },
  ],
  [
    'ignores a method that the pool has not',
    attempt({ identifier, method: 'carrier_pigeon' }),
    policy({ methods: ['password'] }),
    undefined,
    { do: 'prove', method: 'password', methods: ['password'] },
  ],
  [
    'shows the other ways when asked',
    attempt({ identifier }),
    policy(),
    'another',
    { do: 'another', methods: ['password', 'email_code'] },
  ],
  ['shows the form to register when asked', attempt(), policy(), 'register', { do: 'register' }],
  ['registers nobody in a closed pool', attempt(), policy({ registration: false }), 'register', { do: 'identify' }],
  ['waits for the code of a registration', attempt({ registration }), policy(), undefined, { do: 'verify' }],
  ['goes back to who it is from a registration', attempt({ registration }), policy(), 'identify', { do: 'identify' }],
  [
    'asks again who it is instead, where that could not be read',
    attempt({ identifier, draft: { view: 'identify', values: { identifier: 'grace@' }, errors: {} } }),
    policy(),
    undefined,
    { do: 'identify' },
  ],
  [
    'begins again where the pool has closed',
    attempt({ identifier }),
    policy({ methods: [] }),
    undefined,
    { do: 'identify' },
  ],
  ['asks who has forgotten the password', attempt({ identifier }), policy(), 'recover', { do: 'recover' }],
  [
    'waits for the code of a recovery',
    attempt({ identifier, recovery: registration }),
    policy(),
    undefined,
    { do: 'reset' },
  ],
  [
    'finishes with one factor',
    attempt({ identifier, proofs: [proof] }),
    policy(),
    undefined,
    { do: 'finish', amr: ['pwd'], acr: oneFactor },
  ],
  [
    'finishes whatever a link asks to see',
    attempt({ identifier, proofs: [proof] }),
    policy(),
    'register',
    { do: 'finish', amr: ['pwd'], acr: oneFactor },
  ],
  [
    'asks for a second factor where the pool wants one',
    attempt({ identifier, proofs: [proof] }),
    policy({ second: true, usable: [byApp, byCodes, byPassword] }),
    undefined,
    { do: 'prove', method: 'totp', methods: ['totp', 'recovery_code'], second: true },
  ],
  [
    'shows the other second factors when asked',
    attempt({ identifier, proofs: [proof] }),
    policy({ second: true, usable: [byApp, byCodes] }),
    'another',
    { do: 'another', methods: ['totp', 'recovery_code'] },
  ],
  [
    'goes back to who it is from a second factor',
    attempt({ identifier, proofs: [proof] }),
    policy({ second: true, usable: [byApp] }),
    'identify',
    { do: 'identify' },
  ],
  [
    'takes a passkey that knows its user for both factors',
    attempt({ identifier, proofs: [key] }),
    policy({ second: true, usable: [byApp] }),
    undefined,
    { do: 'finish', amr: ['pop', 'mfa'], acr: phishingResistant },
  ],
  [
    'asks for something else after a passkey that does not',
    attempt({ identifier, proofs: [bareKey] }),
    policy({ second: true, usable: [byApp, byMail] }),
    undefined,
    { do: 'another', methods: ['email_code'] },
  ],
  [
    'takes a code by mail after a password where the pool does, and says that it is one factor',
    attempt({ identifier, proofs: [proof, mailbox] }),
    policy({ second: true, usable: [byMail] }),
    undefined,
    { do: 'finish', amr: ['pwd', 'otp'], acr: oneFactor },
  ],
  [
    'takes no code by mail after a proof of the same mailbox, but the password',
    attempt({ identifier, proofs: [mailbox] }),
    policy({ second: true, usable: [byMail, byPassword] }),
    undefined,
    { do: 'prove', method: 'password', methods: ['password'], second: true },
  ],
  [
    'takes no password in the place of an authenticator',
    attempt({ identifier, proofs: [mailbox] }),
    policy({ second: true, usable: [byApp, byPassword] }),
    undefined,
    { do: 'prove', method: 'totp', methods: ['totp'], second: true },
  ],
  [
    'sends no code before it is asked for',
    attempt({ identifier, proofs: [proof] }),
    policy({ second: true, usable: [byMail] }),
    undefined,
    { do: 'another', methods: ['email_code'] },
  ],
  [
    'waits for a code that was sent',
    attempt({ identifier, proofs: [proof], method: 'email_code' }),
    policy({ second: true, usable: [byMail] }),
    undefined,
    { do: 'prove', method: 'email_code', methods: ['email_code'], second: true },
  ],
  [
    'has somebody choose a second factor who has none',
    attempt({ identifier, proofs: [proof] }),
    policy({ second: true, enrollable: [byApp, byKey] }),
    undefined,
    { do: 'enrol', methods: ['totp', 'passkey'] },
  ],
  [
    'goes on with the second factor that was chosen',
    attempt({ identifier, proofs: [proof], enrolment: { method: 'passkey', begun: {} } }),
    policy({ second: true, enrollable: [byApp, byKey] }),
    undefined,
    { do: 'enrol', method: 'passkey', methods: ['totp', 'passkey'] },
  ],
  [
    'lets nobody in who can neither prove nor get a second factor',
    attempt({ identifier, proofs: [proof] }),
    policy({ second: true }),
    undefined,
    { do: 'unmet' },
  ],
  [
    'shows recovery codes before it finishes',
    attempt({ identifier, proofs: [proof, authenticator], codes: 'sealed' }),
    policy({ second: true }),
    undefined,
    { do: 'recovery-codes' },
  ],
  [
    'asks for two factors where the client does',
    attempt({ identifier, proofs: [proof] }),
    policy({ acr: twice, usable: [byMail, byApp] }),
    undefined,
    { do: 'prove', method: 'totp', methods: ['totp'], second: true },
  ],
  [
    'asks only for what is missing of a session',
    attempt({ identifier, proofs: [session] }),
    policy({ acr: twice, usable: [byApp, byPassword] }),
    undefined,
    { do: 'prove', method: 'totp', methods: ['totp'], second: true },
  ],
  [
    'does without where a wish of the client cannot be met',
    attempt({ identifier, proofs: [proof] }),
    policy({ acr: twice }),
    undefined,
    { do: 'finish', amr: ['pwd'], acr: oneFactor },
  ],
  [
    'does not do without where it is essential',
    attempt({ identifier, proofs: [proof, authenticator] }),
    policy({ acr: surely, usable: [byApp] }),
    undefined,
    { do: 'unmet' },
  ],
  [
    'meets a wish that nobody knows with nothing',
    attempt({ identifier, proofs: [key] }),
    policy({ acr: { values: [], essential: true } }),
    undefined,
    { do: 'unmet' },
  ],
  [
    'asks for the second factor that somebody has before they get another',
    attempt({ identifier, proofs: [proof] }),
    policy({ acr: surely, usable: [byApp], enrollable: [byKey] }),
    undefined,
    { do: 'prove', method: 'totp', methods: ['totp'], second: true },
  ],
  [
    'has somebody get what the client wants once the one they have is proven',
    attempt({ identifier, proofs: [proof, authenticator] }),
    policy({ acr: surely, usable: [byApp], enrollable: [byKey] }),
    undefined,
    { do: 'enrol', methods: ['passkey'] },
  ],
  [
    'asks for a new password before anything else, where somebody else has set the one that was proven',
    attempt({ identifier, proofs: [proof], evidence: { mustChange: true } }),
    policy(),
    'register',
    { do: 'change-password' },
  ],
  [
    'asks for the second factor before a new password',
    attempt({ identifier, proofs: [proof], evidence: { mustChange: true } }),
    policy({ second: true, usable: [byApp] }),
    undefined,
    { do: 'prove', method: 'totp', methods: ['totp'], second: true },
  ],
  [
    'does not count one factor twice',
    attempt({ identifier, proofs: [authenticator, proofBy('recovery_code', 'otp', 'possession')] }),
    policy({ second: true, usable: [byApp, byCodes, byMail] }),
    undefined,
    { do: 'another', methods: ['email_code'] },
  ],
  [
    'says that there were several factors',
    attempt({ identifier, proofs: [proof, authenticator] }),
    policy({ second: true, usable: [byApp] }),
    undefined,
    { do: 'finish', amr: ['pwd', 'otp', 'mfa'], acr: twoFactors },
  ],
]

for (const [title, given, asked, view, step] of table) {
  test(title, () => assert.deepEqual(nextStep(given, asked, view), step))
}
