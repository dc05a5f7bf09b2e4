import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneFactor } from '../directory/acr.ts'
import { type Attempt, beginAttempt } from './attempt.ts'
import type { Policy } from './policy.ts'
import { nextStep } from './step.ts'

const begun = beginAttempt({ workspaceId: 'w', id: 'a', expiresAt: new Date(0) })
const policy: Policy = {
  pools: ['partner'],
  homeRealm: false,
  away: true,
  identifiers: ['email'],
  country: null,
  methods: [],
  registration: false,
  second: false,
  acr: { values: [oneFactor], essential: false },
  usable: [],
  enrollable: [],
}
const identifier = { kind: 'email', value: 'ada@example.org', typed: 'ada@example.org' } as const
const proven: Attempt = {
  ...begun,
  identifier,
  person: 'u',
  proofs: [{ method: 'upstream', amr: [], factors: ['knowledge'], phishingResistant: false, at: 0, user: 'u', era: 0 }],
}

test('whoever proves elsewhere who they are is sent there, with a name or without, whatever a link asks for', () => {
  assert.deepEqual(nextStep(begun, policy), { do: 'depart' })
  assert.deepEqual(nextStep({ ...begun, identifier }, policy), { do: 'depart' })
  for (const view of ['identify', 'register', 'recover', 'another'] as const)
    assert.deepEqual(nextStep(begun, policy, view), { do: 'depart' })
})

test('one of several is chosen first', () => {
  const several = { ...policy, pools: ['partner', 'staff'] }
  assert.equal(nextStep(begun, several).do, 'choose')
  assert.equal(nextStep({ ...begun, pool: 'partner' }, several).do, 'depart')
  assert.equal(nextStep({ ...begun, pool: 'partner' }, several, 'choose').do, 'choose')
})

test('one proof from there is enough, unless the pool asks for another', () => {
  assert.deepEqual(nextStep(proven, policy), { do: 'finish', amr: [], acr: oneFactor })
  assert.equal(nextStep(proven, { ...policy, second: true }).do, 'unmet')
})
