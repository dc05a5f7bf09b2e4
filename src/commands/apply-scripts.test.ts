import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { CompiledQuery } from 'kysely'
import { type Connection, connect } from '../db/connect.ts'
import { testDatabase } from '../db/testing.ts'
import { system } from '../directory/audit.ts'
import * as scripts from '../directory/scripts.ts'
import { runHere } from './run-testing.ts'

let folder: string
let connection: Connection
let close: () => Promise<void>
let env: Record<string, string>

const opened = async () => {
  const database = await testDatabase()
  return { database, connection: connect(database.url) }
}

before(async () => {
  const first = await opened()
  connection = first.connection
  folder = await mkdtemp(join(tmpdir(), 'lido-'))
  env = {
    NODE_ENV: 'test',
    DATABASE_URL: first.database.url,
    SECRETS: 'a-secret-that-only-this-test-knows-0123456789',
    SOURCE_SECRET: 'the secret of the source',
  }
  close = async () => {
    await first.connection.close()
    await first.database.close()
    await rm(folder, { recursive: true })
  }
})
after(() => close())

const apply = async (text: string, ...words: string[]) => {
  const file = join(folder, 'lido.yaml')
  await writeFile(file, text)
  return runHere(env, ['apply', file, ...words])
}

const rowsOf = async <Row>(text: string) => (await connection.db.executeQuery<Row>(CompiledQuery.raw(text))).rows

const sourceOf = (mode: string, more = '') =>
  `{ type: http, mode: ${mode}, settings: { url: "https://people.example" }${more} }`
const poolOf = (mode: string, more = '') => `
workspaces:
  - { slug: shop, name: Shop }
pools:
  - slug: customers
    name: Customers
    kind: external
    sign_in_methods: [password]
    source: ${sourceOf(mode, more)}
    source_secrets: { secret: { env: SOURCE_SECRET } }
`

test('a file that moves people over for good changes nothing until that is confirmed', async () => {
  const made = await apply(poolOf('migrate'))
  assert.equal(made.code, 1, made.out)
  assert.match(made.err, /source\.mode: .*moves over for good, with 0 known here.*--confirm-migration/s)
  assert.equal((await apply(poolOf('sync'))).code, 0)
  const { id = '' } = (await rowsOf<{ id: string }>(`select id from pools where slug = 'customers'`))[0] ?? {}
  await rowsOf(`insert into users (pool_id, id, status, authority, source, external_id)
    select '${id}', gen_random_uuid(), 'active', 'linked', 'http', n::text from generate_series(1, 3) n`)
  for (const words of [[], ['--dry-run'], ['--accept-conflicts']]) {
    const refused = await apply(poolOf('migrate'), ...words)
    assert.equal(refused.code, 1, refused.out)
    assert.match(refused.err, /with 3 known here so far/)
  }
  assert.equal((await apply(poolOf('migrate', ', observe: true'))).code, 0, 'who only observes moves nobody')
  assert.equal((await apply(poolOf('migrate', ', observe: false'))).code, 1)
  const confirmed = await apply(poolOf('migrate'), '--confirm-migration')
  assert.equal(confirmed.code, 0, confirmed.err)
  assert.equal((await apply(poolOf('migrate'))).code, 0, 'it is said once')
})

const code = 'const mapping = ({ mapped }) => mapped\n'
const scripted = (script: string, more = '') => `
workspaces:
  - { slug: shop, name: Shop }
  - { slug: depot, name: Depot }
scripts:
  - { workspace: shop, name: Last word, point: mapping, ${script} }
  - workspace: shop
    name: Plans
    code: |
      const postAuthentication = () => ({ claims: { plan: "gold" } })
pools:
  - slug: clerks
    name: Clerks
    kind: external
    sign_in_methods: [password]
    source: ${sourceOf('sync', ', mapping: { script: shop/Last word }')}
    source_secrets: { secret: { env: SOURCE_SECRET } }
connections:
  - { workspace: shop, pool: clerks, post_authentication_script: Plans }
${more}`

test('scripts stand in a file, or beside it, are named by their names, and the same file again changes nothing', async () => {
  await mkdir(join(folder, 'scripts'))
  await writeFile(join(folder, 'scripts/last.js'), code)
  const made = await apply(scripted('file: scripts/last.js'))
  assert.equal(made.code, 0, made.err)
  assert.match(made.out, /create +script shop\/Last word/)
  const named = await rowsOf<{ slug: string; mapping: string; after: string }>(`
    select p.slug, m.name as mapping, a.name as after from pools p
    join scripts m on m.id::text = p.source #>> '{mapping,script}'
    join connections c on c.pool_id = p.id join scripts a on a.id = c.post_authentication_script`)
  assert.deepEqual(named, [{ slug: 'clerks', mapping: 'Last word', after: 'Plans' }])
  const again = await apply(scripted('file: scripts/last.js'))
  assert.match(again.out, /0 to create, 0 to update, 0 to delete/)
  await writeFile(join(folder, 'scripts/last.js'), `${code}// another version\n`)
  const changed = await apply(scripted('file: scripts/last.js, on_failure: continue'))
  assert.match(changed.out, /update +script shop\/Last word/)
  assert.match(changed.out, /0 to create, 1 to update/)
  const versions = await rowsOf<{
    number: number
  }>(`select number from script_versions v join scripts s on s.id = v.script_id
    where s.name = 'Last word' order by number`)
  assert.equal(versions.length, 2)
})

test('what a file says wrongly of scripts is told with its line, and nothing outside its folder is read', async () => {
  await symlink('/etc/passwd', join(folder, 'scripts/way-out.js'))
  const faults: [string, RegExp][] = [
    ['file: ../../etc/passwd', /:6: .*This is not beside the file/],
    ['file: /etc/passwd', /This is not beside the file/],
    ['file: scripts/way-out.js', /This is not beside the file/],
    ['file: nowhere.js', /This cannot be read/],
    ['file: [a]', /This is the name of a file/],
    ['file: scripts/last.js, code: "x"', /here or in another file, and not in both/],
    ['enabled: true, code: ""', /code/],
  ]
  for (const [script, told] of faults) {
    const ran = await apply(scripted(script))
    assert.equal(ran.code, 1, script)
    assert.match(ran.err, told)
    assert.doesNotMatch(ran.err, /root:/)
  }
  const moved = await apply(scripted('file: scripts/last.js').replace('point: mapping', 'point: post_authentication'))
  assert.match(moved.err, /point: It is for mapping, and stays so/)
  const unknown = await apply(
    scripted('file: scripts/last.js').replace('script: shop/Last word', 'script: shop/Nobody'),
  )
  assert.match(unknown.err, /source\.mapping\.script: There is no script "Nobody" in "shop"/)
  const foreign = await apply(
    `connections:\n  - { workspace: depot, pool: clerks, post_authentication_script: Plans }\n`,
  )
  assert.match(foreign.err, /There is no script "Plans" in "depot"/)
})

test('a script that is in use is not pruned, and one that is not goes', async () => {
  const used = await apply('workspaces: [{ slug: shop, name: Shop }]\nprune: { scripts: true }')
  assert.equal(used.code, 1)
  assert.match(used.err, /script shop\/Last word cannot be deleted/)
  await apply('scripts: [{ workspace: depot, name: Idle, code: "const postAuthentication = () => ({})" }]')
  const gone = await apply('workspaces: [{ slug: depot, name: Depot }]\nprune: { scripts: true }')
  assert.equal(gone.code, 0, gone.err)
  assert.match(gone.out, /delete +script depot\/Idle/)
})

test('an export names scripts by their names, and makes the same installation elsewhere', async () => {
  const exported = join(folder, 'exported.yaml')
  const told = await runHere(env, ['export', '--config', exported])
  assert.equal(told.code, 0, told.err)
  const text = await readFile(exported, 'utf8')
  assert.match(text, /script: shop\/Last word/)
  assert.match(text, /post_authentication_script: Plans/)
  assert.match(text, /another version/)
  const { database, connection: other } = await opened()
  try {
    const secrets = {
      LIDO_SECRET_POOL_CUSTOMERS_SOURCE_SECRET: 'the secret of the one',
      LIDO_SECRET_POOL_CLERKS_SOURCE_SECRET: 'the secret of the other',
    }
    const there = { ...env, ...secrets, DATABASE_URL: database.url }
    assert.equal((await runHere(there, ['apply', exported])).code, 1)
    const made = await runHere(there, ['apply', exported, '--confirm-migration'])
    assert.equal(made.code, 0, made.err)
    const back = await runHere(there, ['export', '--config'])
    assert.equal(back.out.trim(), text.trim())
  } finally {
    await other.close()
    await database.close()
  }
})

test('two scripts of one name are told of, as no file can say which is meant', async () => {
  const [shop] = await rowsOf<{ id: string }>(`select id from workspaces where slug = 'shop'`)
  await connection.db.transaction().execute(async (trx) => {
    await scripts.create(trx, new Date(), shop?.id ?? '', { name: 'Plans', code, point: 'mapping' }, system)
  })
  const exported = await runHere(env, ['export', '--config'])
  assert.equal(exported.code, 1)
  assert.match(exported.err, /Two scripts of the workspace shop are called "Plans"/)
  assert.match((await apply(scripted('file: scripts/last.js'))).err, /script shop\/Plans: name: There are two/)
})
