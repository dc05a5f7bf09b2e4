import type { IdentifierKind } from '../directory/identifiers.ts'
import { countryOf } from '../directory/mobile.ts'
import type { Pool } from '../directory/pools.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import type { Word } from './form.ts'
import { addressKey, type Counter, take, windowMinutes } from './limits.ts'
import type { Scene } from './scene.ts'

type Channel = 'email' | 'sms'

/** A message that somebody asks for. */
interface Wanted {
  channel: Channel
  /** What they typed, in its canonical form: all that they may be told anything by. */
  asked: string
  /** Where it would really go; undefined where nobody goes by what was typed. */
  to: string | undefined
  userId: string | undefined
}

/** Said where too much was sent: of what was typed, whether anybody goes by it or not. */
export const sentTooOften: Word = { key: 'alert.resend_wait', values: { minutes: windowMinutes('recipient') } }

/** Whether text messages go anywhere from here. */
export const sendsTexts = ({ config }: Pick<Services, 'config'>): boolean =>
  config.smsUrl !== undefined || config.env !== 'production'

/** What somebody can be asked to prove who is not known yet: whatever of the pool's a code can be sent to. */
export const provable = (services: Pick<Services, 'config'>, { settings }: Pool): IdentifierKind[] =>
  settings.identifiers.filter((kind) => kind === 'email' || (kind === 'mobile' && sendsTexts(services)))

/** Whether text messages go to the country of a number (E.164). */
export const sendsTo = ({ settings }: Pick<Pool, 'settings'>, mobile: string): boolean =>
  settings.sms_countries === null || settings.sms_countries.includes(countryOf(mobile))

/**
 * Counts one more message, over all features, and says whether it may go out and where to. What is answered depends on
 * what was typed and where from, never on the account: where only the account's own share is used up, the page says that
 * something is on its way, and nothing is (security.md 20, 29). Whoever has used up their own share uses up nobody else's.
 */
export const allow = async (
  scene: Scene,
  pool: Pool,
  wanted: Wanted,
): Promise<{ to: string | undefined } | undefined> => {
  const { db, clock } = scene.services
  const now = clock.now()
  if (!(await take(db, now, sharesOfSender(scene, pool, wanted)))) return undefined
  if (!(await take(db, now, sharesOfAddress(scene, pool, wanted.channel, wanted.asked)))) return undefined
  const { to } = wanted
  const open = await take(db, now, [shareOfAccount(scene, pool, wanted), ...sharesOfOther(scene, pool, wanted)])
  const reached = to !== undefined && (!isNumber(to) || sendsTo(pool, to))
  return { to: open && reached ? to : undefined }
}

/** Whether a text goes there, and not a mail: a number in E.164. */
export const isNumber = (address: string): boolean => address.startsWith('+')

/** Counts a mail that an operator has sent to somebody. Throws `too_many_requests`. */
export const countMail = async (
  { db, clock, keyring }: Pick<Services, 'db' | 'clock' | 'keyring'>,
  poolId: string,
  recipient: string,
): Promise<void> => {
  const counter = { kind: 'recipient', scope: poolId, who: keyring.hmac('recipient', recipient) } as const
  if (!(await take(db, clock.now(), [counter]))) throw new Problem('too_many_requests', { retryAfter: 3600 })
}

const sharesOfSender = (
  { services, workspace, ip }: Scene,
  pool: Pool,
  { channel, asked }: Pick<Wanted, 'channel' | 'asked'>,
): Counter[] => {
  const sender = addressKey(ip)
  const both = `${services.keyring.hmac('recipient', asked)}:${sender}`
  return channel === 'email'
    ? [
        { kind: 'sender', scope: workspace.id, who: sender },
        { kind: 'sender to recipient', scope: pool.id, who: both },
      ]
    : [
        { kind: 'sender of texts', scope: workspace.id, who: sender },
        { kind: 'sender of texts to recipient', scope: pool.id, who: both },
      ]
}

const sharesOfAddress = ({ services }: Scene, pool: Pool, channel: Channel, address: string): Counter[] => {
  const who = services.keyring.hmac('recipient', address)
  if (channel === 'email') return [{ kind: 'recipient', scope: pool.id, who }]
  const texts = { kind: 'recipient of texts', scope: pool.id, who } as const
  if (!isNumber(address)) return [texts]
  const points = pool.settings.sms_per_country_hour
  return [texts, { kind: 'country', scope: pool.id, who: countryOf(address), points }]
}

/** What is used up where a message goes to another address than was typed, or takes another way than that would. */
const sharesOfOther = (scene: Scene, pool: Pool, { channel, asked, to }: Wanted): Counter[] => {
  if (to === undefined || to === asked) return []
  const really = isNumber(to) ? 'sms' : 'email'
  const sender = really === channel ? [] : sharesOfSender(scene, pool, { channel: really, asked: to })
  return [...sender, ...sharesOfAddress(scene, pool, really, to)]
}

const shareOfAccount = ({ services }: Scene, pool: Pool, { userId, asked }: Wanted): Counter => ({
  kind: 'messages of account',
  scope: pool.id,
  who: userId ?? services.keyring.hmac('stranger', asked),
})
