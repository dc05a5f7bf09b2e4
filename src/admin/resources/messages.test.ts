import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  countOf,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  rowsOf,
  visitAs,
} from '../../pages/fixtures-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
  const pool = await makePool(lido, 'members', { sign_in_methods: ['email_code'] })
  for (const slug of ['club', 'rival']) {
    const { id } = await makeWorkspace(lido, slug, [{ pool }])
    await makeClient(lido, id)
  }
  for (const name of ['ada', 'bob', 'cleo', 'dan']) await makeUser(lido, pool, `${name}@example.org`)
})
after(() => lido.stop())

const path = '/workspaces/club/messages/code'
const put = (words: object, at = path) => lido.call('PUT', at, { words })
const preview = async (words: object, at = path, lang = 'en') => {
  const { status, body } = await lido.call('POST', `${at}/preview`, { lang, words })
  assert.equal(status, 200, JSON.stringify(body))
  return body as unknown as { subject: string; text: string; html: string }
}
const faultsOf = async (words: object, at = path) => {
  const { status, body } = await put({ en: words }, at)
  assert.equal(status, 422, JSON.stringify(body))
  return (body.errors as { pointer: string; detail: string }[]).map(({ pointer, detail }) => `${pointer} ${detail}`)
}

/** What came to somebody who asked for a code in a language. */
const sent = async (workspace: string, name: string) => {
  await visitAs(lido, workspace, `${name}@example.org`)
  return lido.message(`${name}@example.org`)
}

test('a text of a workspace reaches the inbox, in its language and nowhere else', async () => {
  const subject = '{code} opens {service}'
  const heading = 'Welcome to the club'
  const text = 'Dear member,\nthis is from <b>us</b>.\n\n{code}\n\nIt works {minutes} minutes.'
  const { status, body } = await put({ en: { subject, heading, text } })
  assert.equal(status, 200)
  assert.deepEqual(body.words, { en: { subject, heading, text } })
  const own = await sent('club', 'ada')
  assert.equal(own.subject, `${own.code} opens Workspace club`)
  assert.equal(
    own.text.trimEnd(),
    `${heading}\n\nDear member,\nthis is from <b>us</b>.\n\n    ${own.code}\n\nIt works 10 minutes.\n\n--\nThis message was sent to ada@example.org by Workspace club.`,
  )
  assert.match(own.html, /<h1>Welcome to the club<\/h1>/)
  assert.match(own.html, /<p>Dear member,<br>this is from &lt;b&gt;us&lt;\/b&gt;\.<\/p>/)
  assert.ok(own.html.includes(`<p class="code" dir="ltr">${own.code}</p>`))
  const theirs = await sent('rival', 'bob')
  assert.match(theirs.text, /Use this code to sign in/)
  await put({ de: { text: 'Der Code: {code}' } })
  assert.match((await sent('club', 'cleo')).text, /Use this code to sign in/, 'ours, before a text in another language')
})

test('what looks like a template or like HTML comes out as it was typed', async () => {
  const odd =
    '{{7*7}} {% raw %} $' + '{7*7} {{range.constructor("return 1")()}} <script>alert(1)</script> https://evil.example'
  const shown = await preview({ subject: odd, heading: odd, text: `${odd}\n\n{code}` })
  assert.equal(shown.subject, odd)
  assert.equal(shown.text.split(odd).length, 3)
  const escaped =
    '{{7*7}} {% raw %} $' +
    '{7*7} {{range.constructor(&quot;return 1&quot;)()}} &lt;script&gt;alert(1)&lt;/script&gt; https://evil.example'
  assert.equal(shown.html.split(escaped).length, 4)
  assert.doesNotMatch(shown.html, /<script|href="https:\/\/evil/)
})

test('what somebody is called is never read as a variable or as HTML', async () => {
  await lido.call('PATCH', '/workspaces/rival', { name: '{code} <i>{{7*7}}</i>' })
  const at = '/workspaces/rival/messages/code'
  const { subject, html } = await preview({ subject: 'Of {service}', text: 'Of {service}\n\n{code}' }, at)
  assert.equal(subject, 'Of {code} <i>{{7*7}}</i>')
  assert.match(html, /<p>Of \{code\} &lt;i&gt;\{\{7\*7\}\}&lt;\/i&gt;<\/p>/)
  assert.equal(html.split('493027').length, 2)
  await lido.call('PATCH', '/workspaces/rival', { name: 'Workspace rival' })
})

test('a wording that does not fit its message is refused, with a pointer to each part', async () => {
  assert.deepEqual(await faultsOf({ text: 'No code here' }), ['/words/en/text {code} is needed'])
  assert.match(
    String(await faultsOf({ text: '{code} {secret}' })),
    /\/words\/en\/text \{secret\} is not known here; .*\{minutes\}/,
  )
  assert.match(String(await faultsOf({ text: '{code} {constructor}' })), /\{constructor\} is not known here/)
  assert.match(String(await faultsOf({ text: '{code} {{service}}' })), /single braces: \{service\}/)
  assert.match(String(await faultsOf({ text: 'Bell \u0007 {code}' })), /Control characters/)
  for (const subject of ['Hi\r\nBcc: evil@example.org', 'Hi\nthere', 'Hi\u2028there', 'Hi\u001b[2J'])
    for (const part of ['subject', 'heading'])
      assert.match(
        String(await faultsOf({ [part]: subject })),
        new RegExp(`/words/en/${part} `),
        JSON.stringify(subject),
      )
  assert.match(String(await faultsOf({ text: 'x'.repeat(2001) })), /^\/words\/en\/text /)
  assert.match(String(await faultsOf({ surprise: 'x' })), /^\/words\/en\/surprise /)
  assert.match(String(await faultsOf({ button: 'Open', text: '{code}' })), /^\/words\/en\/button /)
  const link = '/workspaces/club/messages/magic-link'
  assert.deepEqual(await faultsOf({ text: 'No link' }, link), ['/words/en/text {link} is needed'])
  assert.match(String(await faultsOf({ subject: '{link}' }, link)), /can only stand in the text/)
  const sms = '/workspaces/club/messages/sms-code'
  assert.match(String(await faultsOf({ subject: 'Hi' }, sms)), /^\/words\/en\/subject /)
  assert.match(String(await faultsOf({ text: `{code}${'x'.repeat(300)}` }, sms)), /at most 300/)
  const invitation = '/workspaces/club/messages/invitation'
  assert.match(
    String(await faultsOf({ text: '{inviter} says: {link}' }, invitation)),
    /without \{inviter\} and \{message\}/,
  )
  assert.equal((await lido.call('PUT', path, { words: { xx: { text: '{code}' } } })).status, 422)
  assert.equal((await lido.call('GET', '/workspaces/club/messages/no-such')).status, 404)
})

test('a link is a button where it stands alone, and a paragraph that names what is unknown is left out', async () => {
  const link = '/workspaces/club/messages/magic-link'
  const { text, html } = await preview({ button: 'Come in', text: 'Hello\n\n{link}\n\nor {link}' }, link)
  assert.match(html, /<p><a class="button" href="https:\/\/id\.example\.org\/sample">Come in<\/a><\/p>/)
  assert.match(html, /<p>or <a href="https:\/\/id\.example\.org\/sample">https:/)
  assert.match(text, /Come in:\nhttps:\/\/id\.example\.org\/sample\n\nor https:/)
  await put({ en: { text: 'From {inviter}\n\n{link}\n\n{message}' } }, '/workspaces/club/messages/invitation')
  const made = await lido.call('POST', '/pools/members/invitations', {
    identifier: 'eve@example.org',
    message: '<b>{link}</b>',
  })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const mail = await lido.message('eve@example.org')
  assert.doesNotMatch(mail.text, /From /)
  assert.match(mail.html, /<p>&lt;b&gt;\{link\}&lt;\/b&gt;<\/p>/)
})

test('our own words are taken as words of a workspace, and say the same', async () => {
  const { body } = await lido.call('GET', '/workspaces/rival/messages')
  const items = body.items as { name: string; parts: string[]; ours: Record<string, { text: string }> }[]
  assert.ok(items.length > 20)
  for (const { name, ours, parts } of items) {
    const at = `/workspaces/rival/messages/${name}`
    for (const [lang, words] of Object.entries(ours)) {
      const own = await preview(words, at, lang)
      const bare = await preview({}, at, lang)
      assert.equal(own.subject, bare.subject)
      // What may be unknown stands in a paragraph of its own there.
      if (!['invitation', 'identifier-changed'].includes(name)) assert.equal(lines(own.text), lines(bare.text), name)
      assert.equal(parts.includes('subject'), own.html !== '')
    }
  }
})
const lines = (text: string) => text.replaceAll(/\s*\n\s*/g, '\n')

test('a change leaves one event with what was before, and twenty at once leave no change unseen', async () => {
  const at = '/workspaces/rival/messages/recover'
  const events = `events where type = 'workspace.message_changed' and data->>'name' = 'recover'`
  assert.equal((await put({ en: { subject: 'One' } }, at)).status, 200)
  assert.equal((await put({ en: { subject: ' One ' } }, at)).status, 200, 'the same again')
  assert.equal(await countOf(lido, events), 1)
  const etag = (await lido.call('GET', at)).headers.get('ETag') ?? ''
  const change = (n: number) =>
    lido.call('PUT', at, { words: { en: { subject: `At once ${n}` } } }, { 'If-Match': etag })
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => change(n)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  assert.ok(answers.every(({ status }) => [200, 409, 412].includes(status)))
  assert.equal((await lido.call('DELETE', at)).status, 204)
  assert.deepEqual((await lido.call('GET', at)).body.words, {})
  const rows = await rowsOf<{ data: { before: unknown; after: unknown } }>(
    lido,
    `select data from ${events} order by id`,
  )
  assert.equal(rows.length, 3)
  assert.deepEqual([rows[0]?.data.before, rows[0]?.data.after], [{}, { en: { subject: 'One' } }])
  assert.deepEqual(rows[2]?.data.after, {})
  const fresh = (n: number) => put({ en: { subject: `Fresh ${n}` } }, at)
  const first = await Promise.all(Array.from({ length: 20 }, (_, n) => fresh(n)))
  assert.ok(first.every(({ status }) => [200, 409].includes(status)))
  assert.equal(await countOf(lido, events), 3 + first.filter(({ status }) => status === 200).length)
})

test('words that no longer fit are not said', async () => {
  await put({ en: { text: '{code}' } })
  const db = lido.services.db
  const words = JSON.stringify({ en: { text: 'It has no code any more, {gone}' } })
  await db.updateTable('wordings').set({ words }).where('name', '=', 'code').execute()
  assert.match((await sent('club', 'dan')).text, /Use this code to sign in/)
})

test('a test goes to the operator who asks, ten times an hour, and to nobody else', async () => {
  const machine = await lido.call('POST', `${path}/test`, { lang: 'en' })
  assert.equal(machine.status, 409)
  const olga = await operator(lido, 'olga@example.org', { role: 'admin' })
  const words = { subject: 'A try', text: 'Only tried: {code}' }
  assert.equal((await olga.call('POST', `${path}/test`, { lang: 'en', words })).status, 202)
  const mail = await lido.message('olga@example.org')
  assert.equal(mail.subject, 'A try')
  assert.match(mail.text, /Only tried: 493027\n[\s\S]*sent to olga@example\.org/)
  assert.equal((await olga.call('POST', `${path}/test`, { lang: 'en', words: { text: 'none' } })).status, 422)
  assert.equal((await olga.call('POST', '/workspaces/club/messages/sms-code/test', { lang: 'en' })).status, 409)
  const more = await Promise.all(Array.from({ length: 20 }, () => olga.call('POST', `${path}/test`, { lang: 'en' })))
  assert.equal(more.filter(({ status }) => status === 202).length, 9)
  assert.equal(more.filter(({ status }) => status === 429).length, 11)
  const viewer = await operator(lido, 'vera@example.org', { role: 'viewer' })
  assert.equal((await viewer.call('POST', `${path}/test`, { lang: 'en' })).status, 403)
  assert.equal((await viewer.call('PUT', path, { words: {} })).status, 403)
  assert.equal((await viewer.call('POST', `${path}/preview`, { lang: 'en' })).status, 200)
})
