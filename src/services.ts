import type { Config } from './config.ts'
import type { Behind } from './db/behind.ts'
import type { Db } from './db/connect.ts'
import type { Hot } from './db/hot.ts'
import type { Clock } from './platform/clock.ts'
import type { Dns } from './platform/dns.ts'
import type { Fetch } from './platform/fetch.ts'
import type { Geoip } from './platform/geoip.ts'
import type { Kms } from './platform/kms.ts'
import type { Log } from './platform/log.ts'
import type { Metrics } from './platform/metrics.ts'
import type { Passwords } from './platform/passwords.ts'
import type { Sandbox } from './platform/sandbox.ts'
import type { Keyring } from './platform/secrets.ts'

/** What every room is handed: the outside world, opened once by main.ts (or by a test). */
export interface Services {
  config: Config
  clock: Clock
  db: Db
  /** Gathered reads and grouped commits of what a sign-in and a token request touch. */
  hot: Hot
  /** Events that nobody waits for. */
  behind: Behind
  keyring: Keyring
  passwords: Passwords
  fetch: Fetch
  kms: Kms
  dns: Dns
  sandbox: Sandbox
  /** Undefined where the operator supplies no file. */
  geoip: Geoip | undefined
  log: Log
  metrics: Metrics
}
