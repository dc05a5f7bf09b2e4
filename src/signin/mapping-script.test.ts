import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type * as pools from '../directory/pools.ts'
import { makePool, makeWorkspace } from '../pages/fixtures-testing.ts'
import { makeScript } from '../pages/scripts-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { runMapping } from './mapping-script.ts'

let lido: TestLido
let pool: pools.Pool
let workspace: { id: string }
before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'outside')
  workspace = await makeWorkspace(lido, 'inside', [{ pool }])
})
after(() => lido.stop())

const input = {
  claims: { email: 'ada@example.org', department: 'Analysis' },
  mapped: { profile: { given_name: 'Ada' }, metadata: {}, roles: ['editor'], groups: [], tenant: null },
}

const mapped = async (code: string, more: object = {}, poolId = pool.id) => {
  const { id } = await makeScript(lido, workspace.id, code, { point: 'mapping', ...more })
  return runMapping(lido.services, { poolId, script: id }, input, { trace: undefined })
}

test('a mapping script has the last word', async () => {
  const code = 'const mapping = ({ claims, mapped }) => ({ ...mapped, metadata: { team: claims.department } })'
  const done = await mapped(code)
  assert.deepEqual(done, { ok: true, mapped: { ...input.mapped, metadata: { team: 'Analysis' } } })
})

test('what it gives back has to fit, and names that mean something to every object do not', async () => {
  for (const output of [
    '42',
    '{ roles: "admin" }',
    '{ sub: "x" }',
    '{ metadata: JSON.parse(\'{"__proto__":{"a":1}}\') }',
    'undefined',
  ]) {
    const failed = await mapped(`const mapping = () => (${output})`)
    assert.ok(!failed.ok, output)
    assert.deepEqual([failed.why, failed.onFailure], ['bad_output', 'deny'])
  }
})

test('a failure tells what its operator wants then, and a script that is off changes nothing', async () => {
  const failed = await mapped('const mapping = () => { throw new Error() }', { on_failure: 'continue' })
  assert.ok(!failed.ok && failed.onFailure === 'continue')
  const off = await mapped('const mapping = () => ({})', { enabled: false })
  assert.deepEqual(off, { ok: true, mapped: input.mapped })
})

test('a pool reaches the scripts of workspaces that it is connected to, and no others', async () => {
  const stranger = await makePool(lido, 'stranger')
  const failed = await mapped('const mapping = ({ mapped }) => mapped', {}, stranger.id)
  assert.ok(!failed.ok && failed.why === 'not_found' && failed.onFailure === 'deny')
})
