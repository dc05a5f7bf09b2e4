import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import { areServers } from './platform/dns.ts'
import { isKmsAddress, kmsForm } from './platform/kms.ts'
import { forms, openTexts } from './platform/sms/index.ts'

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** What the environment says, checked and complete. */
export interface Config {
  env: 'development' | 'production' | 'test'
  /** 0 lets the system choose; whoever listens then knows the real `publicUrl`. */
  port: number
  host: string
  /** An origin without a trailing slash; every issuer and every link begins with it. */
  publicUrl: string
  /** Undefined stands for the embedded PostgreSQL; never in production. */
  databaseUrl: string | undefined
  /** An absolute path. */
  dataDir: string
  /** Where a workspace may have signing keys as files, in a folder of its slug; an absolute path. */
  keysDir: string | undefined
  /** Where keys in AWS KMS are, and as whom it is asked; undefined leaves both to AWS's own variables, files and roles. */
  kmsUrl: string | undefined
  /** Newest first; may be empty outside production, where main.ts makes and keeps one. */
  secrets: readonly string[]
  smtpUrl: string | undefined
  mailFrom: string
  smsUrl: string | undefined
  redisUrl: string | undefined
  /** Ends where the first five digits of a hash follow; undefined asks nobody. */
  breachedPasswordsUrl: string | undefined
  geoipFile: string | undefined
  /** Addresses and CIDR ranges. */
  trustedProxies: readonly string[]
  /** The header in which a trusted proxy hands on the certificate of a client. */
  clientCertHeader: string | undefined
  /** The header in which it says `SUCCESS` where it has verified that certificate. */
  clientCertVerifiedHeader: string | undefined
  /** Addresses and CIDR ranges. */
  egressAllow: readonly string[]
  /** Addresses with or without a port; empty asks those of the system. */
  dnsServers: readonly string[]
  logLevel: (typeof logLevels)[number]
  bootstrapClient: { id: string; secret: string } | undefined
}

/** The environment makes no configuration; the message has one line for each wrong variable, and no value. */
export class ConfigError extends Error {
  constructor(lines: string[]) {
    super(['Please correct these environment variables:', ...lines].join('\n  '))
    this.name = 'ConfigError'
  }
}

/** Reads the environment, by default this process's; throws a ConfigError that names every wrong variable at once. */
export const readConfig = (env: Record<string, string | undefined> = process.env): Config => {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim()))
  const read = environment(given.NODE_ENV === 'production').safeParse(given)
  if (read.success) return toConfig(read.data)
  const wrong = Map.groupBy(read.error.issues, ({ path }) => path[0])
  const lines = [...wrong].map(([path, issues]) => {
    const name = String(path)
    return `${name}${name in given ? '' : ' is missing'}: ${issues[0]?.message}`
  })
  throw new ConfigError(lines)
}

/** A variable that a file names for a secret in it. Throws for one that configures the program itself. */
export const readVariable = (
  name: string,
  env: Record<string, string | undefined> = process.env,
): string | undefined => {
  if (Object.hasOwn(environment(false).shape, name))
    throw new Error(`${name} configures the program itself, and is not for anything else`)
  return env[name]?.trim() || undefined
}

/** The README's table of variables, in Markdown. */
export const configTable = (): string => {
  const production = environment(true).shape
  const rows = Object.entries(environment(false).shape).map(([name, variable]) => {
    const { description, unset = `\`${variable.parse(undefined)}\`` } = variable.meta() ?? {}
    const required = !production[name as keyof typeof production].safeParse(undefined).success
    return `| \`${name}\` | ${description} | ${unset}${required ? '; required in production' : ''} |`
  })
  return ['| variable | what it is | default |', '| --- | --- | --- |', ...rows].join('\n')
}

type Environment = z.infer<ReturnType<typeof environment>>

const toConfig = (read: Environment): Config => {
  const publicUrl = new URL(read.PUBLIC_URL ?? `http://localhost:${read.PORT}`)
  return {
    env: read.NODE_ENV,
    port: Number(read.PORT),
    host: read.HOST,
    publicUrl: publicUrl.origin,
    databaseUrl: read.DATABASE_URL,
    dataDir: resolve(read.DATA_DIR),
    keysDir: read.KEYS_DIR && resolve(read.KEYS_DIR),
    kmsUrl: read.KMS_URL,
    secrets: read.SECRETS ?? [],
    smtpUrl: read.SMTP_URL,
    mailFrom: read.MAIL_FROM ?? `Lido <no-reply@${publicUrl.hostname}>`,
    smsUrl: read.SMS_URL,
    redisUrl: read.REDIS_URL,
    breachedPasswordsUrl: read.BREACHED_PASSWORDS_URL?.replace(/\/*$/, '/'),
    geoipFile: read.GEOIP_FILE && resolve(read.GEOIP_FILE),
    trustedProxies: read.TRUSTED_PROXIES ?? [],
    clientCertHeader: read.CLIENT_CERT_HEADER,
    clientCertVerifiedHeader: read.CLIENT_CERT_VERIFIED_HEADER,
    egressAllow: read.EGRESS_ALLOW ?? [],
    dnsServers: read.DNS_SERVERS ?? [],
    logLevel: read.LOG_LEVEL,
    bootstrapClient:
      read.BOOTSTRAP_CLIENT_ID && read.BOOTSTRAP_CLIENT_SECRET
        ? { id: read.BOOTSTRAP_CLIENT_ID, secret: read.BOOTSTRAP_CLIENT_SECRET }
        : undefined,
  }
}

const environment = (production: boolean) => {
  const needed = <Shape extends z.ZodType>(shape: Shape) => (production ? shape : shape.optional())
  return z
    .object({
      NODE_ENV: row(
        z.enum(['development', 'production', 'test'], 'say development, production or test').default('development'),
        '`production` refuses unsafe settings, and has no demo, no inbox and no embedded database',
      ),
      PORT: row(port.default('3000'), 'Port to listen on; with `0` the system chooses'),
      HOST: row(
        host.default(production ? '0.0.0.0' : '127.0.0.1'),
        'Address to listen on',
        '`127.0.0.1`; in production `0.0.0.0`',
      ),
      PUBLIC_URL: row(
        needed(origin(production ? ['https:'] : ['https:', 'http:'])),
        'Origin at which browsers reach this server, `https` in production; every issuer and every link in a message begins with it',
        '`http://localhost:$PORT`',
      ),
      DATABASE_URL: row(
        needed(url(['postgresql:', 'postgres:'], 'user:password@host/database')),
        'PostgreSQL, 15 or newer',
        'a PostgreSQL of its own in `DATA_DIR`',
      ),
      DATA_DIR: row(
        z.string().default('.lido'),
        'Folder for what development keeps: the embedded database, generated secrets',
      ),
      SECRETS: row(
        needed(secrets(production)),
        'Secrets of at least 32 characters, comma-separated, newest first; the first encrypts what is stored, each of them decrypts it',
        'one is generated and kept in `DATA_DIR`',
      ),
      KEYS_DIR: row(
        z.string().optional(),
        'Folder with signing keys of your own: PEM or JWK files, or names of keys in AWS KMS, in a folder per workspace, by its slug (docs/keys.md)',
        'none; signing keys are made by themselves and kept in the database',
      ),
      KMS_URL: row(
        text(`give one of: ${kmsForm}`, isKmsAddress).optional(),
        'Region of AWS KMS for keys that are not named by an ARN, and the access key that may sign',
        "none; the AWS SDK's own variables, files and roles say so",
      ),
      SMTP_URL: row(
        url(['smtps:', 'smtp:'], 'user:password@host').optional(),
        'Mail server',
        'none; in development mails go to `/dev/inbox`',
      ),
      MAIL_FROM: row(
        mailbox.optional(),
        'Sender of every mail',
        '`Lido <no-reply@host>` with the host of `PUBLIC_URL`',
      ),
      SMS_URL: row(
        text(`give one of: ${forms.join('; ')}`, (value) => openTexts(value) !== undefined).optional(),
        'Who sends text messages: an HTTP endpoint, Twilio or Amazon SNS (docs/messages.md)',
        'none; in development messages go to `/dev/inbox`',
      ),
      REDIS_URL: row(
        url(['redis:', 'rediss:'], 'host:6379').optional(),
        'Reserved for limits in Redis or Valkey; read, and not used yet',
        'none; limits are counted in PostgreSQL',
      ),
      BREACHED_PASSWORDS_URL: row(
        url(['https:', 'http:'], 'api.pwnedpasswords.com/range/').optional(),
        'Range API that knows passwords from leaks, like `https://api.pwnedpasswords.com/range/`; it learns five hexadecimal digits of a SHA-1 and nothing else',
        'none; nobody is asked, and the list of common passwords has to do',
      ),
      GEOIP_FILE: row(
        z.string().optional(),
        'File that says where addresses are, in lines of `network,country[,latitude,longitude]` (docs/risk.md); read at the start',
        'none; sign-ins are judged without countries and distances',
      ),
      TRUSTED_PROXIES: row(
        ranges.optional(),
        'Proxies whose `X-Forwarded-For` is believed: addresses and CIDR ranges, comma-separated',
        'none',
      ),
      CLIENT_CERT_HEADER: row(
        header.optional(),
        'Header in which a trusted proxy hands on the TLS certificate of a client, as PEM (percent-encoded) or as RFC 9440 says; it has to remove what clients send under this name (docs/fapi.md)',
        'none; clients cannot authenticate by certificates',
      ),
      CLIENT_CERT_VERIFIED_HEADER: row(
        header.optional(),
        'Header in which the proxy says `SUCCESS` for a certificate that it has verified up to an authority',
        'none; only certificates that a client has registered are good',
      ),
      EGRESS_ALLOW: row(
        ranges.optional(),
        'Private addresses that outgoing HTTP may reach: addresses and CIDR ranges, comma-separated',
        'none',
      ),
      DNS_SERVERS: row(
        nameServers.optional(),
        'Name servers that are asked whose a domain is (docs/custom-domains.md): addresses, with or without a port, comma-separated',
        'those of the system',
      ),
      LOG_LEVEL: row(
        z.enum(logLevels, `say one of ${logLevels.join(', ')}`).default('info'),
        `Least severe line to log: ${logLevels.map((level) => `\`${level}\``).join(', ')}`,
      ),
      BOOTSTRAP_CLIENT_ID: row(
        clientId.optional(),
        'Machine-to-machine client of the admin workspace, with every scope; needs `BOOTSTRAP_CLIENT_SECRET`',
        'none',
      ),
      BOOTSTRAP_CLIENT_SECRET: row(
        clientSecret(production).optional(),
        'Its secret; at least 32 characters in production',
        'none',
      ),
    })
    .refine(...together('BOOTSTRAP_CLIENT_ID', 'BOOTSTRAP_CLIENT_SECRET'))
    .refine(...together('BOOTSTRAP_CLIENT_SECRET', 'BOOTSTRAP_CLIENT_ID'))
}

/** A row of the README's table; `unset` says what happens without the variable, where that is not a plain default. */
const row = <Shape extends z.ZodType>(shape: Shape, description: string, unset?: string): Shape =>
  shape.meta({ description, unset })

const makeOne = 'Make one with: openssl rand -base64 32'

const text = (hint: string, valid: (value: string) => boolean) => z.string(hint).refine(valid, hint)

const url = (protocols: string[], rest: string) =>
  text(`give an address like ${protocols[0]}//${rest}`, (value) => protocols.includes(URL.parse(value)?.protocol ?? ''))

const origin = (protocols: string[]) =>
  text(`give an origin without a path, like ${protocols[0]}//id.example.org`, (value) => {
    const parsed = URL.parse(value)
    return parsed !== null && protocols.includes(parsed.protocol) && parsed.href === `${parsed.origin}/`
  })

const secrets = (production: boolean) =>
  z
    .string(`give at least one secret. ${makeOne}`)
    .transform(list)
    .refine(
      (all) => all.length > 0 && all.every((secret) => secret.length >= 32),
      `each needs at least 32 characters. ${makeOne}`,
    )
    .refine((all) => !production || all.every(isSecret), `one is a sample or a pattern that others know. ${makeOne}`)

const list = (value: string): string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item)

const isRange = (value: string): boolean => {
  const [address = '', bits = '0', ...rest] = value.split('/')
  const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= longest
}

// No line breaks: they would let a sender smuggle further headers into every mail.
const isMailbox = (value: string): boolean =>
  /^[^\s<>@]+@[^\s<>@]+$/.test(value) || /^[^\r\n<>]*<[^\s<>@]+@[^\s<>@]+>$/.test(value)

const samples = /change.?me|replace.?me|example|sample|placeholder|insecure|0123456789|abcdefghij/i

const isSecret = (value: string): boolean => value.length >= 32 && new Set(value).size >= 8 && !samples.test(value)

const port = text('give a port from 0 to 65535', (value) => /^\d{1,5}$/.test(value) && Number(value) <= 65535)

const host = text('give an address or a host name to listen on, like 127.0.0.1', (value) => /^[\w.:-]+$/.test(value))

const header = text('give the name of a header, like Client-Cert', (value) => /^[A-Za-z0-9-]{1,100}$/.test(value))

const mailbox = text('give a sender, like Example <no-reply@example.org>', isMailbox)

const ranges = z
  .string()
  .transform(list)
  .refine((all) => all.every(isRange), 'give addresses or CIDR ranges, like 10.0.0.7,192.168.0.0/16')

const nameServers = z.string().transform(list).refine(areServers, 'give addresses, like 9.9.9.9,[2620:fe::fe]:53')

const clientId = text('give 1 to 255 visible ASCII characters', (value) => /^[\x21-\x7e]{1,255}$/.test(value))

// Client secrets are stored under SHA-256, which only protects a secret that nobody can guess.
const clientSecret = (production: boolean) =>
  text(`give a secret of at least 32 characters. ${makeOne}`, (value) => !production || isSecret(value))

type Pair = { [name in 'BOOTSTRAP_CLIENT_ID' | 'BOOTSTRAP_CLIENT_SECRET']?: string | undefined }

/** Asks for `missing` where only `present` was given, whatever else is wrong. */
const together = (
  missing: keyof Pair,
  present: keyof Pair,
): [(read: Pair) => boolean, { path: string[]; error: string; when: () => boolean }] => [
  (read) => !read[present] || Boolean(read[missing]),
  { path: [missing], error: `set it together with ${present}, or neither`, when: () => true },
]
