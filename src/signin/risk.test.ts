import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Place } from '../db/hot.ts'
import { type Facts, type Level, riskOf } from './risk.ts'

const at = Date.parse('2026-11-21T12:00:00Z')
const hour = 3_600_000
const zurich = { country: 'CH', latitude: 47.37, longitude: 8.54 }
const basel = { country: 'CH', latitude: 47.56, longitude: 7.59 }
const tokyo = { country: 'JP', latitude: 35.69, longitude: 139.69 }
const home: Place = { network: '192.0.2.0/24', ...zurich, at: new Date(at - 20 * hour).toISOString() }
const justHome: Place = { ...home, at: new Date(at - hour).toISOString() }
const plain: Place = { ...home, country: null, latitude: null, longitude: null }

/** Somebody at home, at a browser of theirs. */
const usual: Facts = {
  at,
  device: true,
  first: false,
  proven: 'other',
  network: home.network,
  spot: zurich,
  places: [home],
  failures: { account: 0, network: 0 },
  breached: false,
}
const elsewhere = { network: '198.51.100.0/24', spot: basel }
const abroad = { network: '203.0.113.0/24', spot: tokyo }
const unknown = { device: false }

const table: [what: string, facts: Partial<Facts>, level: Level, reasons: string][] = [
  ['at home', {}, 'low', ''],
  ['at home by passkey', { proven: 'passkey' }, 'low', ''],
  ['the very first time', { ...unknown, first: true, places: [] }, 'low', ''],
  ['a door that knows no browsers', { device: undefined }, 'low', ''],
  ['a new browser at home', unknown, 'medium', 'new_device'],
  ['a new browser after a long time away', { ...unknown, places: [] }, 'medium', 'new_device'],
  ['a new browser by passkey', { ...unknown, proven: 'passkey' }, 'low', 'new_device passkey'],
  ['a new browser by mail', { ...unknown, proven: 'mailbox' }, 'low', 'new_device mailbox'],
  ['their laptop elsewhere', elsewhere, 'low', 'new_network known_device'],
  ['their laptop abroad', abroad, 'low', 'new_country known_device'],
  ['an address from inside', { network: undefined, spot: undefined }, 'low', ''],
  ['a new browser elsewhere', { ...unknown, ...elsewhere }, 'medium', 'new_device new_network'],
  ['a new browser abroad', { ...unknown, ...abroad }, 'medium', 'new_device new_country'],
  [
    'a new network without a country',
    { ...unknown, ...elsewhere, spot: undefined },
    'medium',
    'new_device new_network',
  ],
  ['abroad, where no country is known', { ...unknown, ...abroad, places: [plain] }, 'medium', 'new_device new_network'],
  ['their laptop too fast', { ...abroad, places: [justHome] }, 'medium', 'new_country impossible_travel known_device'],
  [
    'a new browser too fast',
    { ...unknown, ...abroad, places: [justHome] },
    'high',
    'new_device new_country impossible_travel',
  ],
  [
    'a passkey too fast',
    { ...unknown, ...abroad, places: [justHome], proven: 'passkey' },
    'medium',
    'new_device new_country impossible_travel passkey',
  ],
  ['the next town at once', { ...unknown, ...elsewhere, places: [justHome] }, 'medium', 'new_device new_network'],
  ['somebody who guesses meanwhile', { failures: { account: 9, network: 0 } }, 'low', 'account_failures known_device'],
  [
    'a new browser after guesses',
    { ...unknown, failures: { account: 5, network: 0 } },
    'medium',
    'new_device account_failures',
  ],
  ['four failures', { failures: { account: 4, network: 19 } }, 'low', ''],
  [
    'spraying that hit',
    { ...unknown, ...elsewhere, failures: { account: 0, network: 20 } },
    'high',
    'new_device new_network network_failures',
  ],
  [
    'a new browser abroad after guesses',
    { ...unknown, ...abroad, failures: { account: 8, network: 0 } },
    'high',
    'new_device new_country account_failures',
  ],
  ['a leaked password at home', { breached: true }, 'low', 'breached_password known_device'],
  [
    'a leaked password at a new browser elsewhere',
    { ...unknown, ...elsewhere, breached: true },
    'high',
    'new_device new_network breached_password',
  ],
]

for (const [what, facts, level, reasons] of table)
  test(`${what} is a ${level} risk`, () => {
    assert.deepEqual(riskOf({ ...usual, ...facts }), { level, reasons: reasons ? reasons.split(' ') : [] })
  })

test('an airliner is not too fast, and no place is left before one arrives', () => {
  const left = (hours: number): Place => ({ ...home, at: new Date(at - hours * hour).toISOString() })
  // Zürich and Tokyo are some 9,600 km apart.
  assert.ok(!riskOf({ ...usual, ...abroad, places: [left(11)] }).reasons.includes('impossible_travel'))
  assert.ok(riskOf({ ...usual, ...abroad, places: [left(10)] }).reasons.includes('impossible_travel'))
  assert.ok(riskOf({ ...usual, ...abroad, places: [left(-1)] }).reasons.includes('impossible_travel'))
})
