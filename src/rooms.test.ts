import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ground = ['config', 'platform', 'db']
const records = [...ground, 'services', 'directory']
const flows = [...records, 'signin', 'oidc']
const doors = [...flows, 'pages', 'admin']
const opened = [...doors, 'app', 'setup', 'foundation', 'door']

/** What each room may import besides itself. A file at the top of src/ is a room of its own. */
const rooms: Record<string, string[]> = {
  config: ['platform'],
  platform: [],
  db: ['config', 'platform'],
  services: ground,
  directory: [...ground, 'services'],
  signin: records,
  oidc: records,
  pages: flows,
  admin: flows,
  app: doors,
  setup: flows,
  foundation: ground,
  door: ['config', 'platform'],
  start: opened,
  main: [...opened, 'start'],
  commands: [...opened, 'start'],
  cli: [...opened, 'start', 'commands'],
}

/** Packages that only one place knows. */
const homes: Record<string, RegExp> = {
  'oidc-provider': /^src\/oidc\//,
  nunjucks: /^src\/platform\/http\/render\.ts$/,
}

const emptyNames = /(?:^|[-.])(?:utils?|helpers?|common|managers?|service)$/

/** Says everything that breaks the plan of the rooms in one source file; `path` begins with src/ or migrations/. */
const check = (path: string, source: string): string[] => {
  const named = path.split('/').some((part) => emptyNames.test(part.replace(/(?:\.test)?\.ts$/, '')))
  const name = named ? ['its name says nothing about what is in it'] : []
  if (isTest(path)) return name
  const code = withoutComments(source)
  return [
    ...name,
    ...imports(code).flatMap((specifier) => checkImport(path, specifier)),
    ...(readsEnvironment(code) && path !== 'src/config.ts' ? ['reads the environment'] : []),
    ...(/^export\s+default\b|\bas\s+default\b(?=[^;]*\})/m.test(code) ? ['has a default export'] : []),
  ]
}

const checkImport = (path: string, specifier: string): string[] => {
  if (!specifier.startsWith('.')) {
    const home = homes[packageName(specifier)]
    return !home || home.test(path) ? [] : [`imports ${specifier}, which is not known here`]
  }
  const target = posix.join(posix.dirname(path), specifier)
  if (isTest(target)) return [`imports ${target}, which is for tests`]
  const [from, to] = [roomOf(path), roomOf(target)]
  if (from === to && to !== undefined) return []
  return from && to && rooms[from]?.includes(to) ? [] : [`imports ${target}`]
}

/** The room a file stands in; undefined outside src/ and in a room that the table does not have. */
const roomOf = (path: string): string | undefined => {
  const room = /^src\/([^/]+?)(?:\.ts|\/.+)$/.exec(path)?.[1]
  return room !== undefined && Object.hasOwn(rooms, room) ? room : undefined
}

/** A test, or what tests are made of. */
const isTest = (path: string) => /(?:\.test|[/-]testing)\.ts$/.test(path)

const packageName = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

const withoutComments = (source: string) => source.replace(/^\s*(?:\/\/|\/?\*).*$/gm, '')

const imports = (code: string): string[] =>
  [
    /^(?:import|export)\s[\w\s{},*$]*\bfrom\s*(['"])(.+?)\1/gm,
    /^import\s*(['"])(.+?)\1/gm,
    /\bimport\s*\(\s*(['"`])(.+?)\1/g,
  ].flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[2] ?? ''))

const readsEnvironment = (code: string) =>
  /\bprocess\s*\??\.\s*env\b|\bprocess\s*(?:\?\.)?\[|\{[^{}]*\benv\b[^{}]*\}\s*(?:=\s*process\b|from\s*['"](?:node:)?process['"])/.test(
    code,
  )

const root = fileURLToPath(new URL('..', import.meta.url))

const sourceFiles = async (folder: string): Promise<string[]> => {
  const entries = await readdir(join(root, folder), { recursive: true })
  return entries.filter((entry) => entry.endsWith('.ts')).map((entry) => posix.join(folder, ...entry.split(/[\\/]/)))
}

test('every file keeps to its room', async () => {
  const paths = [...(await sourceFiles('src')), ...(await sourceFiles('migrations'))]
  const found = await Promise.all(
    paths.map(async (path) => check(path, await readFile(join(root, path), 'utf8')).map((line) => `${path} ${line}`)),
  )
  assert.deepEqual(found.flat(), [])
  assert(paths.includes('src/config.ts'))
})

test('every room of src/ is in the table', async () => {
  const paths = await sourceFiles('src')
  assert.deepEqual(
    paths.filter((path) => !isTest(path) && roomOf(path) === undefined),
    [],
  )
})

test('imports go downwards only', () => {
  const allowed = [
    ['platform/http/parse.ts', '../problem.ts'],
    ['db/hot.ts', '../platform/clock.ts'],
    ['directory/users.ts', '../services.ts'],
    ['signin/methods/password.ts', '../../directory/users.ts'],
    ['oidc/claims.ts', '../directory/users.ts'],
    ['pages/signin.ts', '../oidc/interaction.ts'],
    ['admin/index.ts', '../signin/policy.ts'],
    ['app.ts', './admin/index.ts'],
    ['start.ts', './app.ts'],
    ['main.ts', './start.ts'],
    ['cli.ts', './commands/doctor.ts'],
    ['commands/doctor.ts', '../foundation.ts'],
    ['services.ts', './db/hot.ts'],
    ['config.ts', './platform/sms/index.ts'],
  ]
  const refused = [
    ['platform/log.ts', '../config.ts'],
    ['platform/log.ts', '../db/connect.ts'],
    ['config.ts', './db/connect.ts'],
    ['db/hot.ts', '../services.ts'],
    ['db/hot.ts', '../directory/users.ts'],
    ['directory/users.ts', '../signin/step.ts'],
    ['signin/step.ts', '../oidc/claims.ts'],
    ['oidc/claims.ts', '../signin/step.ts'],
    ['pages/signin.ts', '../admin/index.ts'],
    ['admin/index.ts', '../pages/signin.ts'],
    ['pages/signin.ts', '../app.ts'],
    ['app.ts', './start.ts'],
    ['start.ts', './main.ts'],
    ['start.ts', './commands/doctor.ts'],
    ['commands/doctor.ts', '../cli.ts'],
    ['app.ts', './somewhere/else.ts'],
    ['db/migrate.ts', '../../bench/main.ts'],
    ['somewhere/else.ts', './other.ts'],
  ]
  for (const [path, specifier] of allowed)
    assert.deepEqual(check(`src/${path}`, `import { a } from '${specifier}'\n`), [], `${path} ${specifier}`)
  for (const [path, specifier] of refused)
    assert.equal(check(`src/${path}`, `import { a } from '${specifier}'\n`).length, 1, `${path} ${specifier}`)
})

test('finds every way to import', () => {
  for (const source of [
    "import { a } from '../admin/index.ts'",
    "import type { A } from '../admin/index.ts'",
    "import a, {\n  type B,\n  c as d,\n} from '../admin/index.ts'",
    "import * as a from '../admin/index.ts'",
    "import '../admin/index.ts'",
    "export { a } from '../admin/index.ts'",
    "export type * from '../admin/index.ts'",
    "const a = await import('../admin/index.ts')",
    "type A = import('../admin/index.ts').A",
  ])
    assert.deepEqual(check('src/pages/page.ts', `${source}\n`), ['imports src/admin/index.ts'], source)
  assert.deepEqual(check('src/pages/page.ts', "// import { a } from '../admin/index.ts'\nconst b = from('../x')\n"), [])
})

test('migrations import nothing of src/', () => {
  const path = 'migrations/2026-01-01-start.ts'
  assert.deepEqual(check(path, "import { sql } from 'kysely'\n"), [])
  assert.deepEqual(check(path, "import type { Tables } from '../src/db/schema.ts'\n"), ['imports src/db/schema.ts'])
})

test('tests and their harness may import anything, and are imported by nothing else', () => {
  const source = "import { a } from './admin/index.ts'\nconst b = process.env.B\nimport 'oidc-provider'\n"
  for (const path of ['src/testing.ts', 'src/db/testing.ts', 'src/oidc/client-testing.ts', 'src/db/hot.test.ts'])
    assert.deepEqual(check(path, source), [], path)
  for (const [path, target] of [
    ['src/app.ts', './testing.ts'],
    ['src/db/hot.ts', './testing.ts'],
    ['src/db/hot.ts', './hot.test.ts'],
  ] as const)
    assert.match(check(path, `import { a } from '${target}'\n`).join(), /for tests/)
})

test('only config.ts reads the environment', () => {
  for (const source of [
    'const a = process.env.HOME',
    "const a = process['env']",
    'const { env } = process',
    "import { env } from 'node:process'",
    'const { argv, env: all } = process',
  ]) {
    assert.deepEqual(check('src/main.ts', `${source}\n`), ['reads the environment'], source)
    assert.deepEqual(check('src/config.ts', `${source}\n`), [], source)
  }
  assert.deepEqual(check('src/main.ts', '// process.env\nprocess.exit(services.config.env.length)\n'), [])
})

test('the engine and the template language are each known in one place', () => {
  assert.deepEqual(check('src/oidc/engine.ts', "import { Provider } from 'oidc-provider'\n"), [])
  assert.equal(check('src/pages/page.ts', "import type { Provider } from 'oidc-provider'\n").length, 1)
  assert.equal(check('src/oidc/engine.ts', "import nunjucks from 'nunjucks'\n").length, 1)
  assert.equal(check('src/pages/page.ts', "import weak from 'oidc-provider/lib/x.js'\n").length, 1)
  assert.deepEqual(check('src/platform/http/render.ts', "import nunjucks from 'nunjucks'\n"), [])
})

test('no file says nothing by its name, and none exports a default', () => {
  for (const path of [
    'src/db/utils.ts',
    'src/common/page.ts',
    'src/pages/user-service.ts',
    'src/pages/a.helper.test.ts',
  ])
    assert.match(check(path, '').join(), /says nothing/, path)
  for (const path of ['src/services.ts', 'src/directory/commons.ts']) assert.deepEqual(check(path, ''), [], path)
  for (const source of ['export default 1', 'const a = 1\nexport { a as default }', 'export default function a() {}'])
    assert.deepEqual(check('src/pages/page.ts', `${source}\n`), ['has a default export'], source)
  assert.deepEqual(
    check('src/pages/page.ts', "import { default as a } from 'x'\nexport const b = { default: a }\n"),
    [],
  )
})
