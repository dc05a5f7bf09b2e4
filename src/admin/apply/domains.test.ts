import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { apply } from './apply.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const applied = (text: string) =>
  apply(
    {
      ...lido.services,
      variable: () => undefined,
      acceptConflicts: false,
      confirmMigration: false,
      beside: async () => ({ detail: 'nothing' }),
    },
    text,
    false,
  )
const rows = () =>
  lido.services.db.selectFrom('domains').select(['host', 'state', 'isPrimary']).orderBy('host').execute()
const line = (fields: string) => `domains:\n  - { workspace: demo, ${fields} }\n`

test('a file gives a workspace domains that answer, one of them as its own, and takes them away', async () => {
  const two = `${line('host: login.acme.localhost, primary: true')}  - { workspace: demo, host: id.acme.localhost }\n`
  const first = await applied(two)
  assert.deepEqual(first.faults, [])
  assert.deepEqual(
    first.plan.map(({ is }) => is),
    ['create', 'create'],
  )
  assert.deepEqual(await rows(), [
    { host: 'id.acme.localhost', state: 'active', isPrimary: false },
    { host: 'login.acme.localhost', state: 'active', isPrimary: true },
  ])
  const again = await applied(two)
  assert.deepEqual(
    again.plan.map(({ is }) => is),
    ['unchanged', 'unchanged'],
  )
  const moved = two.replace(', primary: true', '').replace('id.acme.localhost', 'id.acme.localhost, primary: true')
  assert.deepEqual((await applied(moved)).faults, [])
  assert.deepEqual(
    (await rows()).map(({ isPrimary }) => isPrimary),
    [true, false],
  )
  const gone = await applied(`prune: { domains: true }\n${line('host: id.acme.localhost')}`)
  assert.deepEqual([gone.faults, (await rows()).length], [[], 1])
})

test('what cannot be is told with its line, and nothing changes', async () => {
  const before = await rows()
  for (const fields of [
    'host: not a host',
    'host: pending.localhost, active: false, primary: true',
    'host: id.acme.localhost, primary: false, active: false',
  ])
    assert.equal((await applied(line(fields))).faults.length, 1, fields)
  assert.equal((await applied('domains:\n  - { workspace: nowhere, host: a.localhost }\n')).faults.length, 1)
  assert.equal((await applied('domains:\n  - { workspace: admin, host: a.localhost }\n')).faults.length, 1)
  assert.deepEqual(await rows(), before)
})
