import { createRequire } from 'node:module'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Registry } from 'prom-client'

/** What the program counts about itself. Labels are bounded: never a user, an address or a raw path. */
export interface Metrics {
  registry: Registry
  /** A request that was answered; `route` is the pattern, not the path. */
  request(method: string, route: string, status: number, seconds: number): void
  signIn(outcome: string, method: string): void
  /** A statement sent to the database. */
  statement(): void
  job(task: string, outcome: string): void
  /** A request that a workspace's door refused, and whether the reason was kept. */
  refusal(outcome: 'kept' | 'dropped' | 'failed'): void
  /** An answer of the range API: `breached`, `clear` or `unreachable`. */
  breachCheck(outcome: 'breached' | 'clear' | 'unreachable'): void
  /** A question to an external pool's source, and what it said. */
  source(call: 'check' | 'find' | 'renew', outcome: string): void
  /** Somebody who came from a source: `migrated`, `synced`, `observed`, or `failed`. */
  migration(outcome: string): void
  /** A question to AWS KMS: `GetPublicKey` or `Sign`; `ok`, or what kind of trouble came back. */
  kms(call: string, outcome: string): void
  /** Where to ask at each scrape for what is measured rather than counted; a later source replaces an earlier one. */
  observe(sources: {
    passwords?: () => { running: number; queued: number }
    pool?: () => { total: number; idle: number; waiting: number }
  }): void
  /** All of it in Prometheus' text format. */
  text(): Promise<string>
  contentType: string
}

/** Holds nothing that would keep the process alive. */
export const openMetrics = (): Metrics => {
  const registry = new prometheus.Registry()
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new prometheus.Counter({ name, help, labelNames, registers: [registry] })
  const signIns = counter('lido_sign_ins_total', 'Answers to a sign-in method', 'outcome', 'method')
  const jobs = counter('lido_jobs_total', 'Runs of a job', 'task', 'outcome')
  const breaches = counter('lido_breach_checks_total', 'Passwords looked up in leaks', 'outcome')
  const refusals = counter('lido_refusals_total', 'Refused requests, by whether the reason was kept', 'outcome')
  const asked = counter('lido_source_calls_total', 'Questions to the sources and upstreams of pools', 'call', 'outcome')
  const migrations = counter('lido_migrations_total', 'People who came from a source', 'outcome')
  const kmsCalls = counter('lido_kms_calls_total', 'Questions to AWS KMS', 'call', 'outcome')
  const statements = counter('lido_sql_statements_total', 'Statements sent to the database')
  const signIn = remembering((outcome, method) => signIns.labels(outcome, method))
  const job = remembering((task, outcome) => jobs.labels(task, outcome))
  measureProcess(registry)
  return {
    registry,
    request: openRequests(registry),
    signIn: (outcome, method) => signIn(outcome, method).inc(),
    statement: () => statements.inc(),
    job: (task, outcome) => job(task, outcome).inc(),
    refusal: (outcome) => refusals.labels(outcome).inc(),
    breachCheck: (outcome) => breaches.labels(outcome).inc(),
    source: (call, outcome) => asked.labels(call, outcome).inc(),
    migration: (outcome) => migrations.labels(outcome).inc(),
    kms: (call, outcome) => kmsCalls.labels(call, outcome).inc(),
    observe({ passwords, pool }) {
      if (passwords) measure(registry, 'lido_password_hashes', 'Password hashes by state', 'state', passwords)
      if (pool) measure(registry, 'lido_database_connections', 'Connections, and who waits for one', 'state', pool)
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

// The package's index also loads clusters, a push gateway and OpenTelemetry: 20 ms and 15 MB that nothing here uses.
const require = createRequire(import.meta.url)
const prometheus: Pick<typeof import('prom-client'), 'Registry' | 'Counter' | 'Gauge' | 'Histogram'> = {
  Registry: require('prom-client/lib/registry.js'),
  Counter: require('prom-client/lib/counter.js'),
  Gauge: require('prom-client/lib/gauge.js'),
  Histogram: require('prom-client/lib/histogram.js'),
}

/** Seconds: most requests take a few milliseconds, a hash about ten more, a full queue seconds. */
const buckets = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

// A client may send any word as a method, and each would stay in memory.
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

const openRequests = (registry: Registry): Metrics['request'] => {
  const shared = { labelNames: ['method', 'route', 'status'], registers: [registry] }
  const count = new prometheus.Counter({ ...shared, name: 'lido_http_requests_total', help: 'Requests answered' })
  const name = 'lido_http_request_duration_seconds'
  const time = new prometheus.Histogram({ ...shared, name, help: 'Time to answer a request', buckets })
  const open = (...labels: string[]) => ({ count: count.labels(...labels), time: time.labels(...labels) })
  const series = remembering(open)
  return (method, route, status, seconds) => {
    const { count, time } = series(methods.has(method) ? method : 'other', route, String(status))
    count.inc()
    time.observe(seconds)
  }
}

const maxSeries = 2_000

/** Opens each series once; past the most that a metric may have, whatever is new is counted together. */
const remembering = <Series>(open: (...labels: string[]) => Series) => {
  const known = new Map<string, Series>()
  const remember = (labels: string[]): Series => {
    const shown = known.size < maxSeries ? labels : labels.map(() => 'other')
    const key = shown.join(' ')
    const series = known.get(key) ?? open(...shown)
    known.set(key, series)
    return series
  }
  return (...labels: string[]): Series => known.get(labels.join(' ')) ?? remember(labels)
}

const measure = (
  registry: Registry,
  name: string,
  help: string,
  label: string,
  read: () => Record<string, number>,
): void => {
  registry.removeSingleMetric(name)
  new prometheus.Gauge({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      for (const [kind, value] of Object.entries(read())) this.set({ [label]: kind }, value)
    },
  })
}

/** Milliseconds between two samples of the event loop. */
const resolution = 20

const measureProcess = (registry: Registry): void => {
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  measure(registry, 'lido_event_loop_delay_seconds', 'Delay since the last scrape', 'quantile', () => {
    // A sample is the time between two ticks of a timer, so the timer's own period comes off.
    const [median, high] = [50, 99].map((at) => Math.max(0, delay.percentile(at) / 1e9 - resolution / 1e3))
    delay.reset()
    return { 0.5: median ?? 0, 0.99: high ?? 0 }
  })
  measure(registry, 'lido_memory_bytes', 'Memory of the process', 'kind', () => {
    const { rss, heapUsed, external } = process.memoryUsage()
    return { resident: rss, heap_used: heapUsed, external }
  })
  measure(registry, 'lido_cpu_seconds', 'Processor time of the process', 'mode', () => {
    const { user, system } = process.cpuUsage()
    return { user: user / 1e6, system: system / 1e6 }
  })
}
