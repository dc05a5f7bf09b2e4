import { createHash } from 'node:crypto'
import type { Services } from '../services.ts'

/**
 * Whether a password is known from a leak. The range API learns the first 20 bits of its SHA-1 and no more (k-anonymity);
 * padding hides how many passwords share them. False where no API is configured, and where it cannot be asked: then the
 * list of common passwords has to do.
 */
export const isBreached = async (
  { config, fetch, log, metrics }: Pick<Services, 'config' | 'fetch' | 'log' | 'metrics'>,
  password: string,
): Promise<boolean> => {
  if (!config.breachedPasswordsUrl) return false
  const hash = createHash('sha1').update(password.normalize('NFC')).digest('hex').toUpperCase()
  const [prefix, rest] = [hash.slice(0, 5), hash.slice(5)]
  try {
    const headers = { 'Add-Padding': 'true' }
    const answer = await fetch(`${config.breachedPasswordsUrl}${prefix}`, { headers, timeoutMs: 2_000 })
    if (answer.status !== 200) throw new Error(`The breached passwords answered ${answer.status}`)
    const breached = hasSuffix(answer.text(), rest)
    metrics.breachCheck(breached ? 'breached' : 'clear')
    return breached
  } catch (error) {
    log.warn({ err: error }, 'the breached passwords could not be asked')
    metrics.breachCheck('unreachable')
    return false
  }
}

/** A line of padding has the count 0. */
const hasSuffix = (text: string, suffix: string): boolean =>
  text.split(/\r?\n/).some((line) => line.slice(0, 36).toUpperCase() === `${suffix}:` && Number(line.slice(36)) > 0)
