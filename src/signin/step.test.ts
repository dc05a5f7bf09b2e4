import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Attempt, beginAttempt } from './attempt.ts'
import type { Policy } from './policy.ts'
import { nextStep, type Step, type View } from './step.ts'

const identifier = { kind: 'email', value: 'ada@example.org', typed: 'ada@example.org' } as const
const proof = { method: 'password', amr: 'pwd', factors: ['knowledge' as const], at: 0 }
const registration = { identifier, profile: {}, challenge: 'c' }
const attempt = (changes: Partial<Attempt> = {}): Attempt => ({
  ...beginAttempt({ workspaceId: 'w', id: 'a', expiresAt: new Date(0) }),
  ...changes,
})
const policy = (changes: Partial<Policy> = {}): Policy => ({
  pools: ['p'],
  homeRealm: false,
  identifiers: ['email'],
  methods: ['password', 'email_code'],
  factors: 1,
  registration: true,
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
    { do: 'finish', amr: ['pwd'] },
  ],
  [
    'finishes whatever a link asks to see',
    attempt({ identifier, proofs: [proof] }),
    policy(),
    'register',
    { do: 'finish', amr: ['pwd'] },
  ],
  [
    'asks for another factor where one is not enough',
    attempt({ identifier, proofs: [proof] }),
    policy({ factors: 2 }),
    undefined,
    { do: 'prove', method: 'email_code', methods: ['email_code'] },
  ],
  [
    'asks for a new password before anything else, where somebody else has set the one that was proven',
    attempt({ identifier, proofs: [proof], evidence: { mustChange: true } }),
    policy(),
    'register',
    { do: 'change-password' },
  ],
  [
    'does not count one factor twice',
    attempt({ identifier, proofs: [proof, proof] }),
    policy({ factors: 2 }),
    undefined,
    { do: 'prove', method: 'email_code', methods: ['email_code'] },
  ],
  [
    'says that there were several factors',
    attempt({ identifier, proofs: [proof, { method: 'email_code', amr: 'otp', factors: ['possession'], at: 0 }] }),
    policy({ factors: 2 }),
    undefined,
    { do: 'finish', amr: ['pwd', 'otp', 'mfa'] },
  ],
]

for (const [title, given, asked, view, step] of table) {
  test(title, () => assert.deepEqual(nextStep(given, asked, view), step))
}
