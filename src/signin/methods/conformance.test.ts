import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser } from '../../browser-testing.ts'
import type { Pool } from '../../directory/pools.ts'
import {
  atOnce,
  countOf,
  isSignedIn,
  likeness,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  rowsOf,
  takeAsLong,
  type Visit,
  visit,
} from '../../pages/fixtures-testing.ts'
import type { Clock } from '../../platform/clock.ts'
import { type TestLido, testLido } from '../../testing.ts'
import { type Answer, adapters, type Person } from './adapters-testing.ts'
import { methodNames } from './index.ts'

const password = 'correct horse battery staple'
/** Milliseconds that the program's clock is ahead of the machine's. */
let ahead = 0
const clock: Clock = { now: () => new Date(Date.now() + ahead) }

let lido: TestLido
const pools = new Map<string, Pool>()
before(async () => {
  lido = await testLido({}, { clock })
  for (const { slug, settings } of adapters) {
    const pool = await makePool(lido, slug, settings)
    pools.set(slug, pool)
    const workspace = await makeWorkspace(lido, slug, [{ pool }])
    await makeClient(lido, workspace.id)
    await makeClient(lido, workspace.id, { id: 'other' })
  }
})
after(() => lido.stop())

test('every method is held to this', () => {
  assert.deepEqual([...new Set(adapters.map(({ name }) => name))].toSorted(), methodNames.toSorted())
})

let count = 0
for (const adapter of adapters) {
  const { slug } = adapter
  const signedIn = (id: string) => countOf(lido, `events where user_id = '${id}' and type = 'sign_in.succeeded'`)
  const failures = (id: string) => countOf(lido, `events where user_id = '${id}' and type = 'sign_in.failed'`)

  /** Somebody who can use the method, and nobody knows yet. */
  const someone = async (): Promise<Person> => {
    count += 1
    const email = `person-${count}@example.org`
    const mobile = `+4179${String(2_000_000 + count)}`
    const names = adapter.settings.identifiers?.includes('mobile') ? [mobile] : []
    const pool = pools.get(slug) ?? assert.fail()
    const id = await makeUser(lido, pool, email, { password, aliases: names })
    const person = { id, email, mobile }
    await adapter.give?.(lido, pool, person)
    return person
  }

  /** A browser that is asked for a first proof, by the method itself where it is one. */
  const atDoor = async (identifier: string, client = 'app'): Promise<Visit> => {
    const browser = await visit(lido, slug, { client_id: client })
    await browser.submit({ identifier })
    assert.equal(browser.page.step, 'prove', browser.page.html)
    return browser
  }

  /** A browser that is asked to prove it by the method. */
  const asked = async (identifier: string, client?: string): Promise<Visit> => {
    const browser = await atDoor(identifier, client)
    if (adapter.second) await browser.submit({ password })
    if (adapter.behind) await browser.get(browser.link('Sign in another way'))
    if (adapter.behind) await browser.submit({ method: adapter.name })
    assert.equal(browser.page.step, 'prove', browser.page.html)
    return browser
  }
  const known = async (person: Person, client?: string) => {
    const browser = await asked(adapter.identifierOf(person), client)
    const right = await adapter.right(lido, person, 0, browser)
    return { browser, right }
  }
  const refused = (browser: Browser) => {
    assert.equal(isSignedIn(browser), false)
    assert.equal(browser.page.step, 'prove', browser.page.html)
    assert.ok(browser.page.alert, browser.page.html)
  }
  /** What whoever guesses at the door sends: the method's own answer, or the password before it. */
  const guess = (right: Answer, n: number) =>
    adapter.second ? { password: `not this one ${n}` } : adapter.wrong(right, n)
  const wrongs = (right: Answer, n: number) => Array.from({ length: n }, (_, at) => adapter.wrong(right, at))

  describe(adapter.second ? `${adapter.name} after a password` : adapter.name, () => {
    test('lets in whoever answers right', async () => {
      const person = await someone()
      const { browser, right } = await known(person)
      await browser.submit(right)
      assert.ok(isSignedIn(browser), browser.page.html)
      assert.equal(await signedIn(person.id), 1)
    })

    test('refuses a wrong answer with a word, counts it, and takes the right one after it', async () => {
      const person = await someone()
      const { browser, right } = await known(person)
      await browser.submit(adapter.wrong(right, 0))
      refused(browser)
      assert.equal(await failures(person.id), 1)
      await browser.submit(right)
      assert.ok(isSignedIn(browser), browser.page.html)
    })

    test('refuses an empty answer and one of any length, and breaks over neither', async () => {
      const { browser, right } = await known(await someone())
      for (const value of ['', ' ', '\u0000', 'x'.repeat(3_000), '０', '{"$gt":""}']) {
        await browser.submit(Object.fromEntries(Object.keys(right).map((field) => [field, value])))
        assert.equal(isSignedIn(browser), false)
        assert.ok(browser.page.status < 500, `${browser.page.status} to ${JSON.stringify(value).slice(0, 20)}`)
        if (browser.page.step !== 'prove') await browser.get(browser.page.url)
      }
    })

    if (adapter.expires)
      test('refuses the right answer once its time is over', async () => {
        const { browser, right } = await known(await someone())
        ahead += 601_000
        await browser.submit(right)
        refused(browser)
        ahead = 0
      })

    if (adapter.once)
      test('takes the right answer once', async () => {
        const person = await someone()
        const { browser, right } = await known(person)
        await browser.submit(right)
        assert.ok(isSignedIn(browser))
        const again = await asked(adapter.identifierOf(person))
        await again.submit(right)
        refused(again)
      })

    if (adapter.once && !adapter.bound)
      test('refuses what was taken in every other sign-in that waits for it, at whichever client', async () => {
        const person = await someone()
        const { browser, right } = await known(person)
        const waiting = [await asked(adapter.identifierOf(person)), await asked(adapter.identifierOf(person), 'other')]
        await browser.submit(right)
        assert.ok(isSignedIn(browser), browser.page.html)
        for (const other of waiting) {
          await other.submit(right)
          refused(other)
        }
        assert.equal(await signedIn(person.id), 1)
      })

    if (adapter.second)
      test('lets nobody in before the first proof, nor in a browser that another has begun in', async () => {
        const person = await someone()
        const { browser, right } = await known(person)
        const door = await atDoor(adapter.identifierOf(person))
        await door.submit(right)
        assert.equal(isSignedIn(door), false)
        await door.submit({ ...right, method: adapter.name })
        assert.equal(isSignedIn(door), false)
        const elsewhere = await visit(lido, slug)
        await elsewhere.get(browser.page.url)
        assert.equal(elsewhere.page.status, 410)
        assert.equal(await signedIn(person.id), 0)
        await browser.submit(right)
        assert.ok(isSignedIn(browser), browser.page.html)
      })

    if (adapter.bound) {
      test('refuses in one sign-in what was sent for another', async () => {
        const person = await someone()
        const { right: older } = await known(person)
        const browser = await asked(adapter.identifierOf(person))
        await adapter.right(lido, person, 1, browser)
        await browser.submit(older)
        refused(browser)
      })

      test('refuses at one client what was sent for another', async () => {
        const person = await someone()
        const { right: elsewhere } = await known(person, 'other')
        const browser = await asked(adapter.identifierOf(person))
        await adapter.right(lido, person, 1, browser)
        await browser.submit(elsewhere)
        refused(browser)
      })
    }

    if (adapter.renewed)
      test('refuses the older answer where a newer one was sent', async () => {
        const person = await someone()
        const { browser, right: older } = await known(person)
        await browser.submit({ action: 'resend' })
        const newer = await adapter.right(lido, person, 1, browser)
        await browser.submit(older)
        refused(browser)
        await browser.submit(newer)
        assert.ok(isSignedIn(browser), browser.page.html)
      })

    test('refuses for one account what is right for another', async () => {
      const attacker = await someone()
      const victim = await someone()
      const { right } = await known(attacker)
      const own = adapter.once ? right : { ...right, password: 'the own password of the attacker' }
      const browser = await asked(adapter.identifierOf(victim))
      await browser.submit(own)
      refused(browser)
      assert.equal(await signedIn(victim.id), 0)
    })

    test('lets one in of twenty right answers at once', async () => {
      const person = await someone()
      const { browser, right } = await known(person)
      const answers = await atOnce(
        lido,
        browser,
        Array.from({ length: 20 }, () => right),
      )
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [303])
      await browser.get(browser.page.url)
      assert.ok(isSignedIn(browser), browser.page.html)
      assert.equal(await signedIn(person.id), 1)
    })

    test('counts fifty wrong answers at once as fifty, and is closed by them where they might be guesses', async () => {
      const person = await someone()
      const { browser, right } = await known(person)
      const answers = await atOnce(lido, browser, wrongs(right, 50))
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [303])
      assert.equal(await failures(person.id), 50)
      await browser.submit(right)
      if (adapter.closes) refused(browser)
      assert.equal(await signedIn(person.id), adapter.closes ? 0 : 1)
    })

    test('shows a stranger the same pages, and sends nothing', async () => {
      const person = await someone()
      const stranger: Person = {
        id: '',
        email: person.email.replace('person', 'passer'),
        mobile: person.mobile.replace('+4179', '+4178'),
      }
      const pages = async (who: Person) => {
        const name = adapter.identifierOf(who)
        const browser = await atDoor(name)
        const seen = [likeness(browser, name)]
        const right = who.id && !adapter.second ? await adapter.right(lido, who, 0, browser) : adapter.made
        for (const answer of [guess(right, 0), { action: 'resend' }, guess(right, 1)]) {
          await browser.submit(answer)
          seen.push(likeness(browser, name))
        }
        return seen
      }
      assert.deepEqual(await pages(stranger), await pages(person))
      const sent = await rowsOf(
        lido,
        `select id from inbox where recipient in ('${stranger.email}', '${stranger.mobile}')`,
      )
      assert.deepEqual(sent, [])
    })

    test('takes as long for a stranger', () =>
      takeAsLong(['known', 'unknown'], async (who) => {
        const person = await someone()
        const name = adapter.identifierOf(person)
        const typed = who === 'known' ? name : name.startsWith('+') ? name.replace('+4179', '+4176') : `no-${name}`
        const browser = await atDoor(typed)
        return () => browser.submit(guess(adapter.made, 0))
      }))

    test('leaves no secret in the log or in an event', async () => {
      const person = await someone()
      const { browser, right } = await known(person)
      await browser.submit(right)
      const events = JSON.stringify(await rowsOf(lido, `select data from events where user_id = '${person.id}'`))
      for (const secret of Object.values(right)) {
        assert.ok(!lido.lines.join('\n').includes(secret), 'the log has it')
        assert.ok(!events.includes(secret), 'an event has it')
      }
    })
  })
}
