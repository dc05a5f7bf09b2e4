import type { Json } from '../../openapi.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { demanding, type FactGroup, pagesOf, type Section } from '../section.ts'
import { benchPages } from './script-bench.ts'
import { aboveWorkspace, workspaceHref, workspaceTabs } from './workspaces.ts'

const pointNames: Record<string, string> = {
  post_authentication: 'After authentication',
  mapping: 'Mapping of what comes from outside',
}

const scripts: Section = {
  path: '/workspaces/{workspace}/scripts',
  param: 'id',
  one: 'script',
  many: 'Scripts',
  about:
    'A script is JavaScript that runs in a sandbox at one point of a sign-in. It runs where a connection, or the mapping of a pool, names it.',
  routes: {
    list: 'listScripts',
    get: 'getScript',
    create: 'createScript',
    update: 'updateScript',
    remove: 'deleteScript',
  },
  id: ({ id }) => String(id),
  name: ({ name }) => String(name),
  columns: [
    { title: 'Name', text: ({ name }) => String(name) },
    { title: 'Runs', text: ({ point }) => pointNames[String(point)] ?? String(point) },
    { title: 'Version', text: ({ version }) => String(version) },
    { title: 'State', text: ({ enabled }) => (enabled ? 'on' : 'off') },
    { title: 'Where it fails', text: ({ on_failure }) => failures[String(on_failure)] ?? '' },
    { title: 'Changed', text: ({ updated_at }) => String(updated_at), as: 'time' },
  ],
  above: aboveWorkspace,
  tabs: workspaceTabs,
  wording: () => ({
    code: ['code'],
    labels: {
      point: 'Runs',
      code: 'Code',
      enabled: 'On',
      on_failure: 'Where it fails',
      record_next: 'Keep the input of the next run as a sample',
    },
    options: {
      point: Object.entries(pointNames).map(([value, label]) => ({ value, label })),
      on_failure: Object.entries(failures).map(([value, label]) => ({ value, label })),
    },
    hints: {
      record_next: 'Once. What is kept tells of a real person; delete it when you are done.',
      code: 'Defines the function postAuthentication, or mapping. 64 KB at most; saving it makes a version.',
    },
    groups: [
      { title: 'The script', fields: ['name', 'point', 'enabled', 'on_failure', 'record_next'] },
      { title: 'What it does', fields: ['code'] },
    ],
  }),
  facts: (item) => factsOf(item),
  detail: { view: 'console/script', load: (visit, item) => detailOf(visit, item) },
  dangerous: true,
  loss: ({ name }) => `${name} goes with its versions, samples and runs. It stays as long as a connection uses it.`,
}

const failures: Record<string, string> = { deny: 'The sign-in is refused', continue: 'The sign-in goes on without it' }

const factsOf = (item: Json): FactGroup[] => [
  {
    title: null,
    facts: [
      { name: 'Runs', value: pointNames[String(item.point)] ?? String(item.point) },
      { name: 'State', value: item.enabled ? 'On' : 'Off: sign-ins go on as if it were not there' },
      { name: 'Where it fails', value: failures[String(item.on_failure)] ?? '' },
      { name: 'Next input', value: item.record_next ? 'Is kept as a sample' : 'Is not kept' },
      { name: 'Version', value: String(item.version) },
      { name: 'Changed', value: String(item.updated_at), as: 'time' },
      { name: 'Id', value: String(item.id), as: 'code' },
    ],
  },
]

const hrefOf = ({ params }: Visit): string =>
  `/console/workspaces/${encodeURIComponent(params.workspace ?? '')}/scripts/${encodeURIComponent(params.id ?? '')}`

const detailOf = async (visit: Visit, item: Json): Promise<Json> => {
  const here = hrefOf(visit)
  const [versions, samples, runs] = await Promise.all([
    call(visit, 'listScriptVersions', placeOf(visit)),
    call(visit, 'listScriptSamples', placeOf(visit)),
    call(visit, 'listScriptRuns', { ...placeOf(visit), query: { limit: 20 } }),
  ])
  const may = allows(visit, 'updateScript')
  return {
    code: item.code,
    bench: allows(visit, 'testScript') ? `${here}/~test` : null,
    versions: (versions.body.items as Json[]).map((one) => ({
      href: `${here}/versions/${one.number}`,
      name: `Version ${one.number}`,
      cells: [
        { text: `${one.number}`, as: 'text' },
        { text: one.current ? 'runs now' : '', as: 'text' },
        { text: String(one.created_at), as: 'time' },
        { text: writerOf(one.written_by as Json), as: 'code' },
      ],
    })),
    samples: (samples.body.items as Json[]).map((one) => ({
      name: one.name,
      at: one.created_at,
      recorded: one.recorded,
      input: JSON.stringify(one.input, null, 2),
      try: may ? `${here}/~test?sample=${one.id}` : null,
      remove: may ? `${here}/samples/${one.id}/~delete` : null,
    })),
    runs: (runs.body.items as Json[]).map((run) => ({ ...run, ms: Math.round(Number(run.ms)) })),
  }
}

const writerOf = ({ kind, id }: Json): string => (id ? `${kind} ${id}` : String(kind))

const placeOf = ({ params: { workspace = '', id = '' } }: Visit) => ({ params: { workspace, id } })

const aboveScript = async (visit: Visit) => {
  const { body } = await call(visit, 'getScript', placeOf(visit))
  return [
    ...(await aboveWorkspace(visit)),
    { title: 'Scripts', href: `${workspaceHref(visit)}/scripts` },
    { title: String(body.name), href: hrefOf(visit) },
  ]
}

const versionOf = async (visit: Visit): Promise<Json> => {
  const { body } = await call(visit, 'listScriptVersions', placeOf(visit))
  const found = (body.items as Json[]).find(({ number }) => String(number) === visit.params.number)
  // What the API answers for a version that is not kept.
  if (!found) await call(visit, 'rollBackScript', { ...placeOf(visit), body: { version: 1_000_000_000 } })
  return found ?? {}
}

const showVersion = async (visit: Visit): Promise<Outcome> => {
  const version = await versionOf(visit)
  const values = {
    code: version.code,
    at: version.created_at,
    by: writerOf(version.written_by as Json),
    current: version.current,
    back: allows(visit, 'rollBackScript') && !version.current ? `${visit.path}/~rollback` : null,
  }
  const title = `Version ${version.number}`
  return { show: { view: 'console/script-version', title, crumbs: await aboveScript(visit), values } }
}

const askRollback = async (visit: Visit, alert: string | null = null): Promise<Outcome> => {
  const version = await versionOf(visit)
  const crumbs = await aboveScript(visit)
  const title = `Go back to version ${version.number}`
  const values = { number: version.number, code: version.code, alert }
  return { show: { view: 'console/script-rollback', title, crumbs, status: alert ? 409 : 200, values } }
}

const rollBack = async (visit: Visit): Promise<Outcome> => {
  const body = { version: Number(visit.params.number) }
  const told = await call(visit, 'rollBackScript', { ...placeOf(visit), body }).catch((error) => faultsFor(error).alert)
  if (typeof told === 'string') return askRollback(visit, told)
  return { to: hrefOf(visit), notice: `Version ${body.version} runs again.` }
}

const askSample = async (visit: Visit): Promise<Outcome> => {
  const values = { one: 'sample', loss: 'The script cannot be tried on it any more.', alert: null }
  const crumbs = await aboveScript(visit)
  return { show: { view: 'console/confirm', title: 'Delete the sample', crumbs, values } }
}

const removeSample = async (visit: Visit): Promise<Outcome> => {
  await call(visit, 'deleteScriptSample')
  return { to: hrefOf(visit), notice: 'The sample was deleted.' }
}

const one = '/workspaces/{workspace}/scripts/{id}'

export const scriptPages: ConsolePage[] = [
  ...pagesOf(scripts),
  ...benchPages(one, aboveScript),
  { method: 'GET', path: `${one}/versions/{number}`, handle: showVersion },
  {
    method: 'GET',
    path: `${one}/versions/{number}/~rollback`,
    danger: true,
    handle: (visit) => askRollback(demanding(visit, 'rollBackScript')),
  },
  { method: 'POST', path: `${one}/versions/{number}/~rollback`, danger: true, handle: rollBack },
  {
    method: 'GET',
    path: `${one}/samples/{sample}/~delete`,
    danger: true,
    handle: (visit) => askSample(demanding(visit, 'deleteScriptSample')),
  },
  { method: 'POST', path: `${one}/samples/{sample}/~delete`, danger: true, handle: removeSample },
]
