import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { doubles } from './double-testing.ts'
import { upstreams } from './index.ts'
import type { Arrived, NotArrived, OpenUpstream, Returned } from './upstream.ts'

const at = { callback: 'https://lido.example.test/callback/one', state: 'a-state-that-nobody-can-guess-0001' }

test('every upstream there is has a double that it is held against', () => {
  assert.deepEqual(Object.keys(doubles).sort(), Object.keys(upstreams).sort())
})

for (const [name, open] of Object.entries(doubles))
  describe(`conformance: ${name}`, () => {
    const leave = async (upstream: OpenUpstream, state = at.state) => {
      const left = await upstream.depart({ ...at, state })
      assert.ok(left.is === 'ok', JSON.stringify(left))
      return left
    }
    const text = (outcome: Arrived | NotArrived) => JSON.stringify(outcome)

    test('its name is the one that it is listed under, and its secrets are settings', () => {
      const kind = upstreams[name]
      assert.equal(kind?.name, name)
      assert.equal(kind?.settings.safeParse({ unknown: true }).success, false)
    })

    test('sends people to an https address with the state and the callback', async () => {
      const { upstream } = await open()
      const { to } = await leave(upstream)
      assert.equal(to.protocol, 'https:')
      assert.ok([...to.searchParams.values()].includes(at.state), to.href)
    })

    test('what is kept survives being written down', async () => {
      const { upstream, signIn } = await open()
      const { to, keep } = await leave(upstream)
      const outcome = await upstream.arrive(await signIn(to, 'ada'), JSON.parse(JSON.stringify(keep)), at)
      assert.ok(outcome.is === 'ok', text(outcome))
      assert.equal(outcome.user.externalId.length > 0, true)
      assert.equal(outcome.user.externalId.includes('@'), false)
    })

    test('calls the same person the same each time, and others otherwise', async () => {
      const { upstream, signIn } = await open()
      const ids = []
      for (const who of ['ada', 'ada', 'grace'] as const) {
        const { to, keep } = await leave(upstream)
        const outcome = await upstream.arrive(await signIn(to, who), keep, at)
        assert.ok(outcome.is === 'ok', text(outcome))
        ids.push(outcome.user.externalId)
      }
      assert.equal(ids[0], ids[1])
      assert.notEqual(ids[0], ids[2])
    })

    test('refuses another state', async () => {
      const { upstream, signIn } = await open()
      const { to, keep } = await leave(upstream)
      const returned = await signIn(to, 'ada')
      assert.notEqual((await upstream.arrive(returned, keep, { ...at, state: 'another-state' })).is, 'ok')
    })

    test('refuses what was brought for another sign-in', async () => {
      const { upstream, signIn } = await open()
      const mine = await leave(upstream)
      const theirs = await leave(upstream)
      assert.notEqual((await upstream.arrive(await signIn(theirs.to, 'grace'), mine.keep, at)).is, 'ok')
    })

    test('refuses the same answer a second time', async () => {
      const { upstream, signIn } = await open()
      const { to, keep } = await leave(upstream)
      const returned = await signIn(to, 'ada')
      assert.equal((await upstream.arrive(returned, keep, at)).is, 'ok')
      assert.notEqual((await upstream.arrive(returned, keep, at)).is, 'ok')
    })

    test('throws at nothing that a browser may bring', async () => {
      const { upstream } = await open()
      const { keep } = await leave(upstream)
      const fields: Record<string, string>[] = [
        {},
        { state: at.state, RelayState: at.state },
        { state: at.state, code: '\u0000' },
        { RelayState: at.state, SAMLResponse: '%%%' },
        { state: at.state, error: '<script>' },
        { state: at.state, code: 'x'.repeat(100_000) },
      ]
      for (const one of fields)
        for (const method of ['GET', 'POST'] as const) {
          const outcome = await upstream.arrive({ method, fields: one } satisfies Returned, keep, at)
          assert.notEqual(outcome.is, 'ok')
          assert.ok('detail' in outcome && !outcome.detail.includes('<script>'))
        }
    })

    test('an outage is told apart from a refusal, and throws nothing', async () => {
      const { upstream, signIn, stop } = await open()
      if (!stop) return
      const { to, keep } = await leave(upstream)
      const returned = await signIn(to, 'ada')
      stop()
      assert.equal((await upstream.arrive(returned, keep, at)).is, 'unavailable')
      assert.ok(Array.isArray(await upstream.test()))
    })
  })
