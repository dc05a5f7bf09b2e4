import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { after, test } from 'node:test'
import { SMTPServer, type SMTPServerSession } from 'smtp-server'
import type { Fetch } from './fetch.ts'
import { type Message, openMessages } from './messages.ts'

const mail: Message = {
  to: 'ada@example.org',
  channel: 'email',
  subject: 'Your code',
  text: 'It is 123456.',
  html: '<p>It is <b>123456</b>.</p>',
  code: '123456',
}
const sms: Message = { ...mail, to: '+491701234567', channel: 'sms' }

const mailFrom = 'Lido <no-reply@example.org>'

const noFetch: Fetch = () => assert.fail('nothing should be asked')

const smtpSink = async (refuse?: (session: SMTPServerSession) => Error | undefined) => {
  const mails: { from: string; to: string[]; source: string }[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    logger: false,
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        const from = mailFrom ? mailFrom.address : ''
        mails.push({ from, to: rcptTo.map(({ address }) => address), source: Buffer.concat(chunks).toString() })
        done(refuse?.(session))
      })
    },
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => new Promise<void>((resolve) => server.close(resolve)))
  const { port } = server.server.address() as AddressInfo
  return { url: `smtp://127.0.0.1:${port}`, mails }
}

test('sends a mail with a text and an HTML part to its one reader', async () => {
  const { url, mails } = await smtpSink()
  await openMessages({ smtpUrl: url, mailFrom, fetch: noFetch }).deliver({ ...mail, subject: 'Dein Code – fürs Konto' })
  const [sent] = mails
  assert.ok(sent && mails.length === 1)
  assert.equal(sent.from, 'no-reply@example.org')
  assert.deepEqual(sent.to, ['ada@example.org'])
  assert.match(sent.source, /^From: Lido <no-reply@example\.org>\r$/m)
  assert.match(sent.source, /^To: ada@example\.org\r$/m)
  assert.match(sent.source, /^Auto-Submitted: auto-generated\r$/m)
  assert.match(sent.source, /^Subject: =\?UTF-8\?/m)
  assert.match(
    sent.source,
    /multipart\/alternative[\s\S]*text\/plain[\s\S]*It is 123456\.[\s\S]*text\/html[\s\S]*<b>123456/,
  )
})

test('no address or subject adds a header or a reader', async () => {
  const { url, mails } = await smtpSink()
  const inbox = () => assert.fail('nothing should be kept')
  const messages = openMessages({ smtpUrl: url, mailFrom, fetch: noFetch, inbox })
  const readers = ['a@b.org\r\nBcc: eve@evil.org', 'a@b.org, eve@evil.org', 'a@b.org;eve@evil.org', 'x <eve@evil.org>']
  const odd = [
    '"a@b.org" eve@evil.org',
    'eve',
    'a@b@c',
    '',
    ' a@b.org',
    'a@b.org\u0000',
    'Group: a@b.org;',
    'a(b)@c.org',
  ]
  for (const to of [...readers, ...odd]) await assert.rejects(messages.deliver({ ...mail, to }), /one address/, to)
  for (const subject of ['Hi\r\nBcc: eve@evil.org', 'Hi\nX: y', 'Hi\rX: y', 'Hi\u0085X'])
    await assert.rejects(messages.deliver({ ...mail, subject }), /one line/)
  assert.deepEqual(mails, [])
})

test('takes the addresses that people have', async () => {
  const { url, mails } = await smtpSink()
  const messages = openMessages({ smtpUrl: url, mailFrom, fetch: noFetch })
  const readers = ["o'hara+tag@example.org", 'a.b-c_d/e=f@sub.example.org', 'ada@bücher.example']
  for (const to of readers) await messages.deliver({ ...mail, to })
  assert.deepEqual(
    mails.map(({ to }) => to),
    readers.map((to) => [to]),
  )
})

test('rejects where the mail server is away, refuses or is silent, and keeps no copy', async () => {
  const refusing = await smtpSink(() => Object.assign(new Error('Mailbox full'), { responseCode: 421 }))
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  const inbox = () => assert.fail('nothing should be kept')
  const urls = [refusing.url, 'smtp://127.0.0.1:1', `smtp://127.0.0.1:${port}?greetingTimeout=100`]
  for (const smtpUrl of urls)
    await assert.rejects(openMessages({ smtpUrl, mailFrom, fetch: noFetch, inbox }).deliver(mail))
  silent.close()
})

test('sends a text message by one POST', async () => {
  const asked: Parameters<Fetch>[] = []
  const fetch: Fetch = async (...request) => {
    asked.push(request)
    return { status: 202, headers: {}, text: () => '', json: () => ({}) }
  }
  await openMessages({ smsUrl: 'https://sms.example.org/send', mailFrom, fetch }).deliver(sms)
  const [url, init] = asked[0] ?? []
  assert.equal(asked.length, 1)
  assert.equal(url, 'https://sms.example.org/send')
  assert.equal(init?.method, 'POST')
  assert.deepEqual(JSON.parse(String(init?.body)), { to: sms.to, text: sms.text })
})

test('refuses an address that names nobody who sends text messages', () => {
  const open = () => openMessages({ smsUrl: 'tel:secret', mailFrom, fetch: noFetch })
  assert.throws(open, (error: Error) => !error.message.includes('secret'))
})

test('rejects where the text message was not taken', async () => {
  const fetch: Fetch = async () => ({ status: 429, headers: {}, text: () => 'secret', json: () => ({}) })
  const messages = openMessages({ smsUrl: 'https://sms.example.org', mailFrom, fetch })
  await assert.rejects(messages.deliver(sms), { message: 'The server of SMS_URL answered 429' })
})

test('the inbox gets a copy, and is enough on its own', async () => {
  const { url, mails } = await smtpSink()
  const kept: Message[] = []
  const inbox = async (message: Message) => {
    kept.push(message)
  }
  await openMessages({ mailFrom, fetch: noFetch, inbox }).deliver(mail)
  await openMessages({ mailFrom, fetch: noFetch, inbox }).deliver(sms)
  await openMessages({ smtpUrl: url, mailFrom, fetch: noFetch, inbox }).deliver(mail)
  assert.deepEqual(kept, [mail, sms, mail])
  assert.equal(mails.length, 1)
})

test('without a server or an inbox for it, a message is not lost but rejected', async () => {
  const messages = openMessages({ mailFrom, fetch: noFetch })
  await assert.rejects(messages.deliver(mail), /set up to send by email/)
  await assert.rejects(messages.deliver(sms), /set up to send by sms/)
})
