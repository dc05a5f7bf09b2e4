/**
 * Every source is held to this. A new one brings a file `{name}-testing.ts` with its `Bench` (double-testing.ts), and
 * one line in `benches` below. Its double answers as strictly as the real thing (what the real thing would refuse is
 * refused), knows whom `add` told it of, and misbehaves as `behave` says. `states` and `faults` name what it can show;
 * what they do not name is not tried. Over HTTP, `openHttpDouble` brings all the faults along. Each test opens a double
 * of its own.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { z } from 'zod'
import type { Outsider } from '../outsider.ts'
import { auth0Bench } from './auth0-testing.ts'
import { cognitoBench } from './cognito-testing.ts'
import { customBench, endSandboxes } from './custom-testing.ts'
import { type Bench, emailOf, type Fault, type Person, type SourceDouble, type State } from './double-testing.ts'
import { httpBench } from './http-testing.ts'
import { getSource, sources } from './index.ts'
import type { Checked, Found, OpenSource } from './source.ts'

after(endSandboxes)

const benches: readonly Bench[] = [auth0Bench, cognitoBench, customBench, httpBench]

/** Milliseconds that any call may take at most, on a machine that does other things. */
const patience = 3_600
const password = 'canary horse battery staple'
const wrong = 'canary wrong password'

/** What the faults are to be told as; everything else is `unavailable`. */
const told: Partial<Record<Fault, string>> = { rate_limited: 'rate_limited', unauthorized: 'misconfigured' }

const outsider = z.strictObject({
  externalId: z.string().min(1),
  identifiers: z.array(
    z.strictObject({
      kind: z.enum(['email', 'mobile', 'username']),
      typed: z.string().min(1),
      verified: z.boolean(),
    }),
  ),
  claims: z.record(z.string(), z.unknown()),
  profile: z.record(z.string(), z.unknown()),
  roles: z.array(z.string()),
  groups: z.array(z.string()),
  tenant: z.union([z.string(), z.undefined()]),
})

const trouble = z.strictObject({
  is: z.enum(['rate_limited', 'unavailable', 'misconfigured']),
  detail: z.string().min(10),
  retryAfter: z.number().nonnegative().optional(),
})

const checked = z.discriminatedUnion('is', [
  z.strictObject({ is: z.enum(['ok', 'must_change', 'mfa_required']), user: outsider }),
  z.strictObject({ is: z.literal('must_reset'), user: outsider.optional() }),
  z.strictObject({ is: z.enum(['invalid', 'not_found', 'blocked']) }),
  trouble,
])

const found = z.discriminatedUnion('is', [
  z.strictObject({ is: z.literal('ok'), user: outsider }),
  z.strictObject({ is: z.enum(['not_found', 'blocked']) }),
  trouble,
])

/** Everything that was answered, and how long it took, is looked at; whatever is answered may be shown or stored. */
const measure = async <Result>(call: () => Promise<Result>): Promise<Result> => {
  const began = performance.now()
  const result = await call()
  const took = performance.now() - began
  assert.ok(took < patience, `answered after ${Math.round(took)} ms`)
  assert.doesNotMatch(JSON.stringify(result), /canary/, 'a password or a secret is in the answer')
  return result
}

test('every source is held to this', () => {
  assert.deepEqual(benches.map(({ source }) => source.name).toSorted(), sources.map(({ name }) => name).toSorted())
  assert.equal(getSource('nothing of ours'), undefined)
})

const asked = (typed = 'ada@example.org', tried = password) => ({
  identifier: emailOf(typed),
  password: tried,
  ip: '203.0.113.7',
})

const check = async (double: SourceDouble, typed?: string, tried?: string): Promise<Checked> => {
  const answer = await measure(() => double.open().check(asked(typed, tried)))
  checked.parse(answer)
  return answer
}

const find = async (double: SourceDouble, typed?: string): Promise<Found> => {
  const answer = await measure(() => double.open().find(asked(typed)))
  found.parse(answer)
  return answer
}

const kinds: readonly [State, Checked['is']][] = [
  ['ok', 'ok'],
  ['must_change', 'must_change'],
  ['mfa_required', 'mfa_required'],
  ['must_reset', 'must_reset'],
  ['blocked', 'blocked'],
]

for (const bench of benches) {
  const { source, states, faults } = bench
  const doubles: SourceDouble[] = []
  const openDouble = async (person: Partial<Person> = {}) => {
    const double = await bench.open()
    doubles.push(double)
    double.add({ email: 'ada@example.org', password, name: 'Ada', ...person })
    double.add({ email: 'other@example.org', password: 'canary of somebody else', name: 'Other' })
    return double
  }

  describe(source.name, () => {
    after(() => Promise.all(doubles.map((double) => double.close())))

    test('takes its settings, and no other field', async () => {
      const { settings } = await openDouble()
      assert.equal(source, getSource(source.name))
      assert.equal(source.settings.safeParse(settings).error, undefined)
      assert.equal(source.settings.safeParse({ ...settings, surprise: 'x' }).success, false)
      assert.equal(source.settings.safeParse({}).success, false)
    })

    test('keeps everything sealed that sounds like a secret', () => {
      const schema = z.toJSONSchema(source.settings, { unrepresentable: 'any', io: 'input' })
      const fields = Object.keys(schema.properties ?? {})
      const secret = fields.filter((field) => /secret|password|token/.test(field))
      assert.deepEqual(
        source.secrets.filter((name) => !fields.includes(name)),
        [],
      )
      assert.deepEqual(
        secret.filter((name) => !source.secrets.includes(name)),
        [],
      )
    })

    for (const [state, is] of kinds.filter(([state]) => states.includes(state)))
      test(`says ${is} of somebody who is ${state} there`, async () => {
        const answer = await check(await openDouble({ state }))
        assert.equal(answer.is, is, JSON.stringify(answer))
        if ('user' in answer && answer.user) isAda(answer.user)
      })

    test('says nothing but invalid of whoever types a wrong password, whatever else is true of them', async () => {
      for (const state of states.filter((state) => !['must_reset', 'blocked'].includes(state)))
        assert.deepEqual(await check(await openDouble({ state }), 'ada@example.org', wrong), { is: 'invalid' }, state)
    })

    test('lets nobody in whom it does not know', async () => {
      const double = await openDouble()
      assert.match((await check(double, 'nobody@example.org')).is, /^(invalid|not_found)$/)
      assert.deepEqual(await find(double, 'nobody@example.org'), { is: 'not_found' })
    })

    test('finds whoever is there, and knows whether they proved their address', async () => {
      const answer = await find(await openDouble())
      assert.ok(answer.is === 'ok', JSON.stringify(answer))
      isAda(answer.user)
      const unproved = await openDouble({ verified: false })
      for (const { is, user } of [await find(unproved), await check(unproved)] as { is: string; user?: Outsider }[])
        assert.deepEqual([is, user?.identifiers.map(({ verified }) => verified)], ['ok', [false]])
    })

    test('tells the roles and the tenant, the same to both questions', async () => {
      const double = await openDouble({ roles: ['admin', 'editor'], tenant: 'acme' })
      for (const answer of [await find(double), await check(double)]) {
        assert.ok(answer.is === 'ok', JSON.stringify(answer))
        assert.deepEqual([answer.user.roles, answer.user.groups].flat().toSorted(), ['admin', 'editor'])
        assert.equal(answer.user.tenant, 'acme')
      }
    })

    for (const fault of faults)
      test(`takes a fault (${fault}) for neither a wrong password nor nobody`, async () => {
        const double = await openDouble()
        double.behave(fault)
        const calls: (() => Promise<Checked | Found>)[] = [() => check(double), () => find(double)]
        // A wrong password is told without a word of anybody, so these may get it right.
        if (fault !== 'other_user' && fault !== 'wrong_types') calls.push(() => check(double, 'ada@example.org', wrong))
        for (const answer of await all(calls, waits.includes(fault)))
          assert.equal(answer.is, told[fault] ?? 'unavailable', JSON.stringify(answer))
        assert.ok((await measure(double.open().test)).length > 0)
        assert.equal(double.followed(), 0, 'a redirect was followed')
      })

    if (faults.includes('rate_limited'))
      test('says when it may be asked again', async () => {
        const double = await openDouble()
        double.behave('rate_limited')
        const answer = await check(double)
        assert.ok(answer.is === 'rate_limited')
        if (answer.retryAfter !== undefined) assert.ok(answer.retryAfter > 4 && answer.retryAfter < 9)
      })

    if (faults.includes('error'))
      test('works as before once a fault is over', async () => {
        const double = await openDouble()
        const opened = double.open()
        double.behave('error')
        assert.equal((await opened.check(asked())).is, 'unavailable')
        double.behave(undefined)
        assert.equal((await opened.check(asked())).is, 'ok')
      })

    if (faults.includes('refused'))
      test('reaches no address that EGRESS_ALLOW does not name', async () => {
        const double = await openDouble()
        const opened = double.open([])
        assert.equal((await measure(() => opened.check(asked()))).is, 'unavailable')
        assert.equal((await measure(() => opened.find(asked()))).is, 'unavailable')
        assert.ok((await measure(() => opened.test())).some(({ ok }) => !ok))
        if (opened.list) assert.equal((await measure(async () => opened.list?.(undefined)))?.is, 'unavailable')
        assert.equal(double.reached(), 0)
      })

    test('tries its settings without anybody’s password, and finds right ones right', async () => {
      const tried = await measure((await openDouble()).open().test)
      assert.ok(tried.length > 0)
      for (const { name, ok, detail } of tried) assert.ok(ok, `${name}: ${detail}`)
    })

    if (faults.includes('unauthorized'))
      test('finds wrong settings wrong when it tries them', async () => {
        const double = await openDouble()
        double.behave('unauthorized')
        assert.ok((await measure(double.open().test)).some(({ ok, detail }) => !ok && detail.length > 10))
      })

    test('lists everybody once, page by page, where it can list', async () => {
      const double = await openDouble()
      const people = Array.from({ length: 230 }, (_, index) => `person-${index}@example.org`)
      for (const email of people) double.add({ email, password })
      const listed = await listAll(double.open())
      if (listed) assert.deepEqual(listed.toSorted(), ['ada@example.org', 'other@example.org', ...people].toSorted())
    })

    test('answers twenty who ask at once', async () => {
      const opened = (await openDouble()).open()
      // How long the last of them waits is the machine's to say: a source may need a process for each.
      const answers = await Promise.all(Array.from({ length: 20 }, () => opened.check(asked())))
      for (const answer of answers) assert.equal(answer.is, 'ok', JSON.stringify(answer))
    })
  })
}

/** One after the other, or at once where each takes its three seconds anyway. */
const all = async <Result>(calls: (() => Promise<Result>)[], atOnce: boolean): Promise<Result[]> => {
  if (atOnce) return Promise.all(calls.map((call) => call()))
  const results: Result[] = []
  for (const call of calls) results.push(await call())
  return results
}

const waits: readonly Fault[] = ['slow', 'dripping']

const listAll = async ({ list }: OpenSource): Promise<string[] | undefined> => {
  if (!list) return undefined
  const emails: string[] = []
  let cursor: string | undefined
  do {
    const page = await measure(() => list(cursor))
    assert.ok(page.is === 'ok', JSON.stringify(page))
    emails.push(...page.users.flatMap(({ identifiers }) => identifiers.map(({ typed }) => typed)))
    cursor = page.next
  } while (cursor !== undefined)
  return emails
}

const isAda = (user: Outsider): void => {
  const emails = user.identifiers.filter(({ kind }) => kind === 'email')
  assert.deepEqual(emails, [{ kind: 'email', typed: 'ada@example.org', verified: true }])
  assert.equal(user.profile.name, 'Ada')
  assert.doesNotMatch(user.externalId, /@/, 'an address is no identity')
}
