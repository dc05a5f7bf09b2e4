import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { ConfigError, configTable, readConfig } from './config.ts'

type Variables = Record<string, string | undefined>

const secret = () => randomBytes(32).toString('base64')

const production = (changes: Variables = {}): Variables => ({
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://id.example.org',
  DATABASE_URL: 'postgresql://lido:pw@db/lido',
  SECRETS: secret(),
  ...changes,
})

/** The lines that name what is wrong, without the line above them. */
const wrong = (env: Variables): string[] => {
  try {
    readConfig(env)
    return []
  } catch (error) {
    assert(error instanceof ConfigError)
    return error.message.split('\n').slice(1)
  }
}

const wrongNames = (env: Variables) => wrong(env).map((line) => line.trim().split(/[: ]/)[0])

test('needs nothing in development', () => {
  assert.deepEqual(readConfig({}), {
    env: 'development',
    port: 3000,
    host: '127.0.0.1',
    publicUrl: 'http://localhost:3000',
    databaseUrl: undefined,
    dataDir: resolve('.lido'),
    keysDir: undefined,
    kmsUrl: undefined,
    secrets: [],
    smtpUrl: undefined,
    mailFrom: 'Lido <no-reply@localhost>',
    smsUrl: undefined,
    redisUrl: undefined,
    breachedPasswordsUrl: undefined,
    geoipFile: undefined,
    trustedProxies: [],
    clientCertHeader: undefined,
    clientCertVerifiedHeader: undefined,
    egressAllow: [],
    dnsServers: [],
    logLevel: 'info',
    bootstrapClient: undefined,
  })
})

test('reads every variable', () => {
  const [newest, older, client] = [secret(), secret(), secret()]
  const config = readConfig({
    NODE_ENV: 'production',
    PORT: '8443',
    HOST: '::1',
    PUBLIC_URL: 'https://ID.example.org:443/',
    DATABASE_URL: 'postgres://db/lido',
    DATA_DIR: '/var/lib/lido',
    KEYS_DIR: '/etc/lido/keys',
    KMS_URL: 'kms://key:secret@eu-central-1',
    SECRETS: `${newest}, ${older}`,
    SMTP_URL: 'smtps://mail.example.org',
    MAIL_FROM: 'Sign-in <id@example.org>',
    SMS_URL: 'https://sms.example.org/send',
    REDIS_URL: 'rediss://cache:6379',
    BREACHED_PASSWORDS_URL: 'https://leaks.example.org/range',
    GEOIP_FILE: '/var/lib/lido/geoip.csv',
    TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    CLIENT_CERT_HEADER: 'Client-Cert',
    CLIENT_CERT_VERIFIED_HEADER: 'Client-Cert-Verified',
    EGRESS_ALLOW: '192.168.7.7,fd00::/8',
    DNS_SERVERS: '9.9.9.9, [::1]:5353',
    LOG_LEVEL: 'warn',
    BOOTSTRAP_CLIENT_ID: 'operator',
    BOOTSTRAP_CLIENT_SECRET: client,
  })
  assert.deepEqual(config, {
    env: 'production',
    port: 8443,
    host: '::1',
    publicUrl: 'https://id.example.org',
    databaseUrl: 'postgres://db/lido',
    dataDir: '/var/lib/lido',
    keysDir: '/etc/lido/keys',
    kmsUrl: 'kms://key:secret@eu-central-1',
    secrets: [newest, older],
    smtpUrl: 'smtps://mail.example.org',
    mailFrom: 'Sign-in <id@example.org>',
    smsUrl: 'https://sms.example.org/send',
    redisUrl: 'rediss://cache:6379',
    breachedPasswordsUrl: 'https://leaks.example.org/range/',
    geoipFile: '/var/lib/lido/geoip.csv',
    trustedProxies: ['10.0.0.0/8', '::1'],
    clientCertHeader: 'Client-Cert',
    clientCertVerifiedHeader: 'Client-Cert-Verified',
    egressAllow: ['192.168.7.7', 'fd00::/8'],
    dnsServers: ['9.9.9.9', '[::1]:5353'],
    logLevel: 'warn',
    bootstrapClient: { id: 'operator', secret: client },
  })
})

test('derives the public address from the port, and the sender from the public address', () => {
  assert.equal(readConfig({ PORT: '4000' }).publicUrl, 'http://localhost:4000')
  assert.equal(readConfig({ PORT: '0' }).port, 0)
  assert.equal(readConfig(production()).mailFrom, 'Lido <no-reply@id.example.org>')
})

test('listens on this machine alone in development, and everywhere in production', () => {
  assert.equal(readConfig({ NODE_ENV: 'test' }).host, '127.0.0.1')
  assert.equal(readConfig({ HOST: 'localhost' }).host, 'localhost')
  assert.equal(readConfig(production()).host, '0.0.0.0')
})

test('takes an empty variable for one that is not set', () => {
  assert.deepEqual(readConfig({ PORT: '', SECRETS: ' ', SMTP_URL: '', NODE_ENV: '' }), readConfig({}))
  assert.deepEqual(wrongNames(production({ DATABASE_URL: '' })), ['DATABASE_URL'])
})

test('names everything that production lacks', () => {
  assert.deepEqual(
    wrong({ NODE_ENV: 'production' }).map((line) => line.split(':')[0]),
    ['  PUBLIC_URL is missing', '  DATABASE_URL is missing', '  SECRETS is missing'],
  )
})

test('names every wrong variable at once, each with what to do, and no value', () => {
  const lines = wrong({
    NODE_ENV: 'staging',
    PORT: 'leaked-1',
    HOST: 'leaked 2',
    PUBLIC_URL: 'leaked-3',
    DATABASE_URL: 'mysql://leaked-4',
    SECRETS: 'leaked-5',
    SMTP_URL: 'https://leaked-6',
    MAIL_FROM: 'leaked-7\r\nBcc: everyone@example.org',
    SMS_URL: 'tel:leaked-8',
    REDIS_URL: 'leaked-9',
    TRUSTED_PROXIES: '10.0.0.0/33',
    EGRESS_ALLOW: 'leaked-10.example.org',
    DNS_SERVERS: 'leaked-dns.example.org',
    LOG_LEVEL: 'leaked-11',
    BOOTSTRAP_CLIENT_SECRET: 'leaked-12',
  })
  assert.deepEqual(
    lines.map((line) => /^ {2}([A-Z_]+)(?: is missing)?: (?:give|say|set|each) \S/.exec(line)?.[1]).toSorted(),
    [
      'BOOTSTRAP_CLIENT_ID',
      'DATABASE_URL',
      'DNS_SERVERS',
      'EGRESS_ALLOW',
      'HOST',
      'LOG_LEVEL',
      'MAIL_FROM',
      'NODE_ENV',
      'PORT',
      'PUBLIC_URL',
      'REDIS_URL',
      'SECRETS',
      'SMS_URL',
      'SMTP_URL',
      'TRUSTED_PROXIES',
    ],
  )
  assert(!lines.join('\n').includes('leaked'))
})

test('takes nothing but an https origin for the public address in production', () => {
  for (const value of [
    'http://id.example.org',
    'https://id.example.org/path',
    'https://id.example.org/?a=b',
    'https://user@id.example.org',
    'https://id.example.org#top',
    'id.example.org',
  ])
    assert.deepEqual(wrongNames(production({ PUBLIC_URL: value })), ['PUBLIC_URL'], value)
})

test('takes no short, sample or patterned secret in production, wherever it stands in the list', () => {
  for (const value of [
    ',',
    'too-short',
    'x'.repeat(64),
    'abababab'.repeat(8),
    `change-me-${secret()}`,
    '0123456789abcdef0123456789abcdef',
  ]) {
    assert.deepEqual(wrongNames(production({ SECRETS: value })), ['SECRETS'], value)
    if (value !== ',') assert.deepEqual(wrongNames(production({ SECRETS: `${secret()},${value}` })), ['SECRETS'], value)
  }
})

test('takes the bootstrap client whole or not at all, with a strong secret in production', () => {
  const id = 'BOOTSTRAP_CLIENT_ID'
  const secretName = 'BOOTSTRAP_CLIENT_SECRET'
  assert.deepEqual(wrongNames({ [id]: 'operator' }), [secretName])
  assert.deepEqual(wrongNames({ [secretName]: 'hush' }), [id])
  assert.deepEqual(readConfig({ [id]: 'operator', [secretName]: 'hush' }).bootstrapClient, {
    id: 'operator',
    secret: 'hush',
  })
  assert.deepEqual(wrongNames(production({ [id]: 'operator', [secretName]: 'hush' })), [secretName])
})

test('the table in README.md is the one that the schema prints', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const table = /<!-- configuration -->\n\n([\s\S]*?)\n\n<!-- \/configuration -->/.exec(readme)?.[1]
  assert.equal(table, configTable())
})
