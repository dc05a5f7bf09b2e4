import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { csrfOf, fill, shownIn } from './record-form-testing.ts'

let lido: AdminLido
let browser: ConsoleBrowser
before(async () => {
  lido = await adminLido()
  await lido.call('POST', '/workspaces', { slug: 'club', name: 'Club' })
  browser = await openConsole(lido)
})
after(() => lido.stop())

const at = '/console/workspaces/club/messages'
const saved = async (name: string) => (await lido.call('GET', `/workspaces/club/messages/${name}`)).body.words

test('every message is listed, and one is worded in a language and set back to ours', async () => {
  await browser.get('/console/workspaces/club')
  await browser.get(browser.link('Messages'))
  for (const name of ['magic-link', 'invitation', 'sms-code'])
    assert.match(browser.page.html, new RegExp(`<code>${name}</code>`))
  await fill(browser, `${at}/magic-link/de/~edit`, {
    subject: 'Ihr Link',
    text: 'Guten Tag\r\n\r\n{link}',
    button: 'Anmelden',
  })
  assert.match(browser.page.html, /The message was changed/)
  assert.deepEqual(await saved('magic-link'), {
    de: { subject: 'Ihr Link', text: 'Guten Tag\n\n{link}', button: 'Anmelden' },
  })
  await browser.get(`${at}/magic-link?lang=de`)
  assert.match(browser.page.html, /<pre class="told"[^>]*>Guten Tag\n\nAnmelden:\nhttps:/)
  await browser.get(browser.link('Reset to our words'))
  await browser.post(`${at}/magic-link/~reset`, {})
  assert.equal(browser.page.status, 403)
  await browser.get(`${at}/magic-link/~reset`)
  await browser.post(`${at}/magic-link/~reset`, { csrf: csrfOf(browser.page.html) })
  assert.match(browser.page.html, /It is said in our words again/)
  assert.deepEqual(await saved('magic-link'), {})
})

test('a wrong text is said at its field, and what was typed stays', async () => {
  await fill(browser, `${at}/code/en/~edit`, { subject: 'Mine', text: 'Nothing to type in' })
  assert.equal(browser.page.status, 422)
  assert.match(browser.page.html, /id="error-text"[^>]*>\{code\} is needed/)
  assert.match(browser.page.html, /Nothing to type in/)
  assert.deepEqual(await saved('code'), {})
})

test('the words of one language are changed without those of another, and not over a change of somebody else', async () => {
  await fill(browser, `${at}/reset/en/~edit`, { subject: 'Anew' })
  await browser.get(`${at}/reset/de/~edit`)
  const form = { ...shownIn(browser.page.html), csrf: csrfOf(browser.page.html), subject: 'Neu' }
  await browser.post(`${at}/reset/de/~edit`, form)
  assert.deepEqual(await saved('reset'), { en: { subject: 'Anew' }, de: { subject: 'Neu' } })
  await browser.post(`${at}/reset/de/~edit`, { ...form, subject: 'Too late' })
  assert.equal(browser.page.status, 422)
  assert.match(browser.page.html, /value="Too late"/)
  assert.deepEqual(await saved('reset'), { en: { subject: 'Anew' }, de: { subject: 'Neu' } })
  await browser.get(`${at}/reset/xx/~edit`)
  assert.equal(browser.page.status, 404)
})

test('a text message has a text and nothing else', async () => {
  await browser.get(`${at}/sms-code/en/~edit`)
  assert.match(browser.page.html, /name="text"/)
  assert.doesNotMatch(browser.page.html, /name="(subject|heading|button)"/)
})

test('the preview says what the form says, in a frame that runs nothing', async () => {
  await browser.get(`${at}/magic-link/en/~edit`)
  assert.match(browser.page.html, /<iframe class="preview-frame"[^>]* sandbox>/)
  assert.match(browser.page.headers.get('Content-Security-Policy') ?? '', /frame-src 'self'/)
  const typed = {
    ...shownIn(browser.page.html),
    subject: 'Come <in>',
    text: '{{7*7}} <script>alert(1)</script>\r\n\r\n{link}',
  }
  await browser.post(`${at}/magic-link/en/~preview`, typed)
  assert.match(browser.page.html, /<p>\{\{7\*7\}\} &lt;script&gt;alert\(1\)&lt;\/script&gt;<\/p>/)
  const policy = browser.page.headers.get('Content-Security-Policy') ?? ''
  for (const part of [/frame-ancestors 'self'/, /script-src 'none'/, /form-action 'none'/, /; sandbox$/])
    assert.match(policy, part)
  assert.doesNotMatch(policy, /unsafe-inline/)
  const [, nonce] = /'nonce-([^']+)'/.exec(policy) ?? []
  assert.ok(browser.page.html.includes(`<style nonce="${nonce}">`))
  await browser.post(`${at}/magic-link/en/~preview`, { ...typed, 'preview.page': 'text' })
  assert.match(browser.page.html, /Come &lt;in&gt;/)
  assert.match(browser.page.html, /<pre dir="auto">\{\{7\*7\}\} &lt;script&gt;/)
  await browser.post(`${at}/magic-link/en/~preview`, { ...typed, text: 'No link' })
  assert.equal(browser.page.status, 200)
  assert.match(browser.page.html, /text: \{link\} is needed/)
  assert.match(browser.page.headers.get('Content-Security-Policy') ?? '', /; sandbox$/)
  assert.deepEqual(await saved('magic-link'), {})
})

test('a sample goes to the operator who asks', async () => {
  await browser.get(`${at}/code?lang=de`)
  await browser.post(`${at}/code/~test?lang=de`, { csrf: csrfOf(browser.page.html) })
  assert.match(browser.page.html, /It is on its way to your address/)
  const { text } = await lido.message(browser.operator.email)
  assert.match(text, /493027/)
  assert.match(text, /Code/)
})

test('a viewer sees it all, and is offered and allowed no change', async () => {
  const viewer = await openConsole(lido, { role: 'viewer' })
  for (const path of ['', '/code', '/code/en/~preview']) {
    await viewer.get(`${at}${path}`)
    assert.equal(viewer.page.status, 200)
    assert.doesNotMatch(viewer.page.html, /~edit|~reset|~test/)
  }
  for (const path of ['/code/en/~edit', '/code/~reset']) {
    await viewer.get(`${at}${path}`)
    assert.equal(viewer.page.status, 403)
  }
  await viewer.get(`${at}/code`)
  for (const path of ['/code/en/~edit', '/code/~reset', '/code/~test']) {
    await viewer.post(`${at}${path}`, { csrf: csrfOf(viewer.page.html) })
    assert.equal(viewer.page.status, 403)
  }
})
