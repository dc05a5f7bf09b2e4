import type { Field } from '../../../platform/http/render.ts'
import type { Json } from '../../openapi.ts'
import { chartOf } from '../chart.ts'
import { humanName } from '../fields.ts'
import { demandRoute, type Inside, openPool, screenIn } from '../inside.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { typeTitles } from './pool-words.ts'

const path = '/pools/{pool}/migration'

export const migrationPages: ConsolePage[] = [
  { method: 'GET', path, handle: (visit) => show(visit) },
  { method: 'POST', path: `${path}/~pause`, handle: (visit) => press(visit, 'pauseMigration') },
  { method: 'POST', path: `${path}/~resume`, handle: (visit) => press(visit, 'resumeMigration') },
  { method: 'POST', path: `${path}/~observe`, handle: (visit) => press(visit, 'observeMigration', { observe: true }) },
  { method: 'POST', path: `${path}/~count`, handle: (visit) => press(visit, 'countRemaining') },
  { method: 'POST', path: `${path}/~stop`, handle: (visit) => press(visit, 'stopRemaining') },
  { method: 'GET', path: `${path}/~begin`, handle: (visit) => showBegin(visit) },
  { method: 'POST', path: `${path}/~begin`, handle: (visit) => begin(visit) },
  { method: 'GET', path: `${path}/remaining`, handle: (visit) => remaining(visit) },
  { method: 'POST', path: `${path}/remaining/~mail`, handle: (visit) => mail(visit) },
  { method: 'GET', path: `${path}/~finish`, danger: true, handle: (visit) => showFinish(visit) },
  { method: 'POST', path: `${path}/~finish`, danger: true, handle: (visit) => finish(visit) },
]

type Counted = { name: string; times: number }[]

interface Progress extends Json {
  state: Record<'observe' | 'paused' | 'frozen' | 'resting' | 'lists', boolean> & { mode: string; source: string }
  users: { local: number; linked: number; migrated: number }
  last_day: Record<'migrated' | 'synced', number> & Record<'failed' | 'observed', Counted>
  last_month: Progress['last_day']
  days: Record<'migrated' | 'synced' | 'failed' | 'observed', number>[] & { date: string }[]
  errors: { kind: string; times: number; samples: { at: string; detail: string | null; trace: string | null }[] }[]
  forecast: { per_day: number; remaining: number | null; done_at: string | null }
  rounds: { count: Json | null; mail: Json | null }
}

const show = async (visit: Visit, alert: string | null = null): Promise<Outcome> => {
  const inside = await openPool(visit)
  const { body } = await call(visit, 'getMigration')
  const progress = body as Progress
  const { users, forecast } = progress
  const come = progress.state.mode === 'migrate' ? users.migrated : users.linked
  const all = forecast.remaining === null ? null : come + forecast.remaining
  const values = {
    alert,
    progress,
    here: `${inside.base}/migration`,
    source: typeTitles[progress.state.source] ?? progress.state.source,
    come,
    all,
    percent: all === null || all === 0 ? null : Math.floor((100 * come) / all),
    charts: chartsOf(progress),
    outcomes: outcomesOf(progress),
    errors: progress.errors.map(({ kind, ...one }) => ({ ...one, title: titleOf(kind) })),
    traces: allows(visit, 'getTrace'),
    may: mayOf(visit, progress),
  }
  const status = alert === null ? 200 : 422
  return screenIn(inside, visit, {
    section: 'migration',
    view: 'console/migration',
    title: 'Migration',
    status,
    values,
  })
}

const mayOf = (visit: Visit, { state, rounds }: Progress) => {
  const change = allows(visit, 'pauseMigration')
  const running = [rounds.count, rounds.mail].some((round) => round?.state === 'running')
  return {
    pause: change && !state.paused,
    resume: change && (state.paused || state.frozen),
    observe: change && !state.observe,
    begin: change && state.observe,
    test: change,
    count: change && state.lists && !state.paused && rounds.count?.state !== 'running',
    look: allows(visit, 'listRemaining') && state.lists && !state.paused,
    stop: running && allows(visit, 'stopRemaining'),
    finish: change && state.mode === 'migrate',
  }
}

const chartsOf = ({ days, state }: Progress) => {
  const kinds = [
    state.mode === 'migrate' ? { key: 'migrated', title: 'Came over' } : { key: 'synced', title: 'Made or changed' },
    { key: 'failed', title: 'Could not' },
    ...(state.observe ? [{ key: 'observed', title: 'Only looked at' }] : []),
  ] as { key: 'migrated' | 'synced' | 'failed' | 'observed'; title: string }[]
  return kinds.map(({ key, title }) => {
    const counts = days.map((day) => ({ at: (day as unknown as { date: string }).date, count: day[key] }))
    const total = counts.reduce((sum, { count }) => sum + count, 0)
    return { key, title, total, chart: chartOf(title, counts), rows: counts.toReversed() }
  })
}

/** What became of sign-ins, as rows of a table: the last day beside the last thirty. */
const outcomesOf = ({ last_day, last_month }: Progress) => {
  const rowsFor = (kind: 'failed' | 'observed', title: string) =>
    last_month[kind].map(({ name, times }) => ({
      name: `${title}: ${titleOf(name).toLowerCase()}`,
      day: last_day[kind].find((one) => one.name === name)?.times ?? 0,
      month: times,
    }))
  return [
    { name: 'Came over', day: last_day.migrated, month: last_month.migrated },
    { name: 'Made or changed as a copy', day: last_day.synced, month: last_month.synced },
    ...rowsFor('failed', 'Could not come'),
    ...rowsFor('observed', 'Only looked at'),
  ]
}

const titles: Record<string, string> = {
  ok: 'The password is right',
  invalid: 'The password is wrong',
  not_found: 'Nobody there goes by that',
  must_reset: 'A new password has to be set',
  must_change: 'The password has to be changed',
  mfa_required: 'A second factor is asked for there',
  blocked: 'Blocked there',
  rate_limited: 'The source was asked too often',
  unavailable: 'The source did not answer',
  misconfigured: 'The settings of the source are wrong',
  another_user: 'The source told of somebody else',
  external_id_changed: 'The address is somebody else’s there now',
  identifier_taken: 'Somebody else goes by that here',
  no_identifier: 'They go by nothing that this pool knows',
  deleted: 'They were deleted here',
  not_active: 'They are inactive here',
  overtaken: 'Somebody came first with another password',
  script: 'The mapping script failed',
}

const titleOf = (kind: string): string => titles[kind] ?? humanName(kind)

/** Does something at once, and shows how things stand then. */
const press = async (visit: Visit, route: string, body?: Json): Promise<Outcome> => {
  try {
    await call(visit, route, body ? { body } : {})
    const { base } = await openPool(visit)
    return { to: `${base}/migration`, notice: 'Done.' }
  } catch (error) {
    return show(visit, saidOf(error))
  }
}

const saidOf = (error: unknown): string => {
  const { errors, alert } = faultsFor(error)
  return Object.values(errors)[0] ?? alert
}

const showBegin = async (visit: Visit): Promise<Outcome> => {
  demandRoute(visit, 'observeMigration')
  const inside = await openPool(visit)
  const { body } = await call(visit, 'getMigration')
  const values = { action: visit.path, users: (body as Progress).users }
  const above: [] = []
  return screenIn(inside, visit, {
    section: 'migration',
    above,
    view: 'console/migration-begin',
    title: 'Stop only observing',
    values,
  })
}

const begin = async (visit: Visit): Promise<Outcome> => {
  const { base } = await openPool(visit)
  await call(visit, 'observeMigration', { body: { observe: false }, query: { confirm_migration: 'true' } })
  return { to: `${base}/migration`, notice: 'People move over from now on.' }
}

const remaining = async (visit: Visit, again: { alert: string } | undefined = undefined): Promise<Outcome> => {
  const inside = await openPool(visit)
  const { cursor } = visit.query
  const { body } = await call(visit, 'listRemaining', { query: cursor ? { cursor } : {} })
  const { items, next_cursor: next, seen } = body as { items: Json[]; next_cursor: string | null; seen: number }
  const here = `${inside.base}/migration/remaining`
  const values = {
    people: items.map(personOf),
    seen,
    first: cursor ? here : null,
    next: next ? `${here}?${new URLSearchParams({ cursor: next })}` : null,
    action: allows(visit, 'mailRemaining') ? `${here}/~mail` : null,
    users: `${inside.base}/users`,
    fields: mailFields(visit.form),
    alert: again?.alert ?? null,
  }
  const status = again ? 422 : 200
  const title = 'Who has not come'
  return screenIn(inside, visit, {
    section: 'migration',
    above: [],
    view: 'console/migration-remaining',
    title,
    status,
    values,
  })
}

const personOf = ({ identifiers, external_id, user }: Json) => {
  const names = identifiers as { type: string; value: string; verified: boolean }[]
  return {
    external_id,
    user: user ?? null,
    names: names.map(({ value }) => value),
    mail:
      names.find(({ type, verified }) => type === 'email' && verified)?.value ??
      names.find(({ type }) => type === 'email')?.value ??
      null,
  }
}

const mailFields = (typed: Record<string, string>): Field[] => [
  {
    ...{ name: 'per_minute', kind: 'number', label: 'Mails a minute', min: 1, max: 600, step: 1 },
    value: typed.per_minute ?? '60',
    hint: 'As many as your mail service takes, and as your helpdesk can answer.',
  },
  { name: 'days', kind: 'number', label: 'Days each link works', min: 1, max: 30, step: 1, value: typed.days ?? '7' },
]

const mail = async (visit: Visit): Promise<Outcome> => {
  const { form } = visit
  const only = Object.keys(form).flatMap((name) => (name.startsWith('only.') ? [name.slice(5)] : []))
  if (form.whom !== 'all' && only.length === 0) return remaining(visit, { alert: 'Tick whom to write to.' })
  const numbers = { per_minute: Number(form.per_minute || 60), days: Number(form.days || 7) }
  try {
    await call(visit, 'mailRemaining', { body: { ...numbers, only: form.whom === 'all' ? null : only } })
  } catch (error) {
    return remaining(visit, { alert: saidOf(error) })
  }
  const { base } = await openPool(visit)
  return { to: `${base}/migration`, notice: 'The mails go out.' }
}

const showFinish = async (visit: Visit, alert: string | null = null): Promise<Outcome> => {
  demandRoute(visit, 'finishMigration')
  const inside = await openPool(visit)
  const { body: report } = await call(visit, 'reportFinish')
  const { body } = await call(visit, 'getMigration')
  const values = {
    alert,
    report,
    frozen: (body as Progress).state.frozen,
    action: visit.path,
    users: `${inside.base}/users`,
  }
  const status = alert === null ? 200 : 422
  const title = 'Finish the migration'
  return screenIn(inside, visit, {
    section: 'migration',
    above: [],
    view: 'console/migration-finish',
    title,
    status,
    values,
  })
}

const finish = async (visit: Visit): Promise<Outcome> => {
  const { step = '', understood } = visit.form
  if (step === 'cut' && understood !== 'true') return showFinish(visit, 'Tick that you mean it.')
  try {
    const { base }: Inside = await openPool(visit)
    await call(visit, 'finishMigration', {
      body: { step },
      query: { confirm: understood === 'true' ? 'true' : 'false' },
    })
    return step === 'cut'
      ? { to: base, notice: 'The source is gone. Everybody lives here now.' }
      : { to: `${base}/migration`, notice: 'Nobody comes over by signing in any more.' }
  } catch (error) {
    return showFinish(visit, saidOf(error))
  }
}
