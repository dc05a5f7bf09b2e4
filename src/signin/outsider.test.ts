import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Outsider, storableOutsider } from './outsider.ts'

const ada: Outsider = {
  externalId: 'there|1',
  identifiers: [{ kind: 'email', typed: 'ada@example.org', verified: true }],
  claims: { name: 'Ada', deep: [{ team: 'a' }, 7, null], none: null },
  profile: { name: 'Ada 👩‍💻' },
  roles: ['editor'],
  groups: [],
  tenant: 'acme',
}

test('who is told in texts that can be kept stays as they are', () => {
  assert.deepEqual(storableOutsider(ada), ada)
})

for (const odd of ['a\0b', 'a\ud800b', '\udfff'])
  test(`a text such as ${JSON.stringify(odd)} is left out wherever it is, and never becomes another`, () => {
    const told: Outsider = {
      ...ada,
      identifiers: [...ada.identifiers, { kind: 'username', typed: odd, verified: true }],
      claims: { ...ada.claims, odd, [odd]: 'x', list: [odd, { odd }, 'b'] },
      profile: { ...ada.profile, nickname: odd },
      roles: [odd, 'editor'],
      groups: [odd],
      tenant: odd,
    }
    const claims = { ...ada.claims, list: [{}, 'b'] }
    const { tenant: _, ...others } = ada
    assert.deepEqual(storableOutsider(told), { ...others, claims })
    assert.equal(storableOutsider({ ...ada, externalId: odd }), undefined)
  })

test('what is nested without end is cut off, before anybody walks it', () => {
  const deep = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
  const told = { ...ada, claims: { ...ada.claims, endless: deep(30_000), few: deep(9) } }
  const kept = storableOutsider(told)?.claims
  assert.deepEqual(kept?.few, deep(9))
  assert.ok(JSON.stringify(kept?.endless).length < 250)
})
