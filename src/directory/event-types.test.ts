import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { eventTypes, isEventType } from './event-types.ts'

test('the documentation lists every type of event with what it tells, and no other', async () => {
  const page = await readFile(new URL('../../docs/events.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `([a-z_]+\.[a-z_]+)` \| (.*?) \|$/gm)]
  assert.deepEqual(Object.fromEntries(rows.map(([, type, meaning]) => [type, meaning])), eventTypes)
})

test('a pattern is all, a family or a type that there is', () => {
  for (const pattern of ['*', 'user.*', 'sign_in.failed', 'token.*']) assert.ok(isEventType(pattern), pattern)
  for (const pattern of ['', 'user', 'users.*', 'user.crea*', '*.created', 'user.%', 'toString', 'constructor.*'])
    assert.ok(!isEventType(pattern), pattern)
})
