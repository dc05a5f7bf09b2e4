import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { type TestLido, testLido } from '../testing.ts'
import { isSignedIn, redeem, token, visit } from './fixtures-testing.ts'
import { makeExternal, type Outside, openOutside, secretThere } from './outside-testing.ts'

let lido: TestLido
let outside: Outside
before(async () => {
  lido = await testLido({ EGRESS_ALLOW: '127.0.0.1' })
  outside = await openOutside()
})
afterEach(() => {
  outside.instead = undefined
  outside.asked.length = 0
})
after(async () => {
  await lido.stop()
  await outside.close()
})

let people = 0

/** Somebody of a pool that is kept in step with a source, signed in; `again` asks for new tokens. */
const signedIn = async (reloads: boolean, mapping: Record<string, string> = {}) => {
  const { slug, workspace, pool } = await makeExternal(lido, outside, {
    source: { mode: 'sync' },
    settings: {
      sign_in_methods: ['password'],
      user_schema: { type: 'object', properties: { given_name: { type: 'string' } } },
    },
  })
  const { db } = lido.services
  const settings = { reloadClaimsAtRefresh: reloads, mapping: JSON.stringify(mapping) }
  await db.updateTable('connections').set(settings).where('workspaceId', '=', workspace.id).execute()
  await new Promise((resolve) => setTimeout(resolve, 250))
  people += 1
  const email = `again${people}@example.org`
  const person = outside.add({ email, profile: { given_name: 'Ada' }, department: 'Engines' })
  const browser = await visit(lido, slug, { scope: 'openid profile' })
  await browser.submit({ identifier: email })
  await browser.submit({ password: secretThere })
  assert.ok(isSignedIn(browser), browser.page.html)
  let { refresh_token } = (await redeem(lido, slug, browser)).body
  const again = async () => {
    outside.asked.length = 0
    const answer = await token(lido.url, slug, {
      grant_type: 'refresh_token',
      client_id: 'app',
      refresh_token: refresh_token ?? '',
    })
    refresh_token = answer.body.refresh_token ?? refresh_token
    return answer
  }
  return { again, person, email, pool, slug }
}

const nameOf = async (poolId: string): Promise<unknown> => {
  const { profile } = await lido.services.db
    .selectFrom('users')
    .select('profile')
    .where('poolId', '=', poolId)
    .executeTakeFirstOrThrow()
  return profile.given_name
}

test('a refresh asks the source again where the connection says so, and nobody else is asked', async () => {
  for (const [reloads, name, asked] of [
    [true, 'Augusta', ['find']],
    [false, 'Ada', []],
  ] as const) {
    const { again, person, pool } = await signedIn(reloads)
    person.profile = { given_name: 'Augusta' }
    assert.equal((await again()).status, 200)
    assert.deepEqual(
      outside.asked.map(({ call }) => call),
      asked,
    )
    assert.equal(await nameOf(pool.id), name)
  }
})

test('whoever is gone or closed at the source gets no new tokens, and neither does who has their address now', async () => {
  for (const change of [
    () => {
      outside.instead = () => ({ status: 404 })
    },
    () => {
      outside.instead = () => ({ status: 423 })
    },
    (person: { id: string }) => {
      person.id = 'somebody else'
    },
  ]) {
    const { again, person, pool } = await signedIn(true)
    change(person)
    const answer = await again()
    assert.equal(answer.body.error, 'invalid_grant', JSON.stringify(answer.body))
    assert.equal(await nameOf(pool.id), 'Ada')
    outside.instead = undefined
  }
})

test('a source that does not answer keeps nobody out who is signed in', async () => {
  const { again } = await signedIn(true)
  outside.instead = () => ({ status: 500 })
  assert.equal((await again()).status, 200)
  assert.equal((await again()).status, 200)
})

test('what a source told at a sign-in is mapped, and is as it is there now where it is asked again', async () => {
  for (const reloads of [true, false]) {
    const { again, person, slug } = await signedIn(reloads, { department: 'upstream.department' })
    const department = async () => {
      const { body } = await again()
      const headers = { Authorization: `Bearer ${body.access_token}` }
      const told = await (await fetch(`${lido.url}/w/${slug}/userinfo`, { headers })).json()
      return (told as { department?: string }).department
    }
    assert.equal(await department(), 'Engines')
    person.department = 'Poetry'
    assert.equal(await department(), reloads ? 'Poetry' : 'Engines')
  }
})
