import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connect } from '../db/connect.ts'
import { migrate } from '../db/migrate.ts'
import { testDatabase } from '../db/testing.ts'
import * as imports from '../directory/imports.ts'
import * as pools from '../directory/pools.ts'
import * as roles from '../directory/roles.ts'
import { systemClock } from '../platform/clock.ts'
import { runHere } from './run-testing.ts'

let database: Awaited<ReturnType<typeof testDatabase>>
let connection: ReturnType<typeof connect>
let folder: string
before(async () => {
  database = await testDatabase()
  connection = connect(database.url)
  await migrate(connection)
  folder = await mkdtemp(join(tmpdir(), 'lido-'))
})
after(async () => {
  await connection.close()
  await database.close()
  await rm(folder, { recursive: true })
})

const env = () => ({
  NODE_ENV: 'test',
  DATABASE_URL: database.url,
  SECRETS: 'a-secret-that-only-this-test-knows-0123456789',
})
const lido = (...words: string[]) => runHere(env(), words)
const makePool = (slug: string) => pools.create(connection.db, new Date(), { slug, name: slug })
const write = async (name: string, text: string) => {
  await writeFile(join(folder, name), text)
  return join(folder, name)
}
const usersOf = async (poolId: string) => {
  const rows = await connection.db.selectFrom('users').select('id').where('poolId', '=', poolId).execute()
  return rows.length
}

test('imports a file, tells which rows failed, and exports what an import reads again', async () => {
  const pool = await makePool('filed')
  const file = await write('people.csv', 'email\na@example.org\nnobody\nA@example.org\n')
  const dry = await lido('import', 'filed', file, '--dry-run')
  assert.equal(dry.code, 1)
  assert.match(dry.out, /1 created, 0 updated, 1 skipped, 1 failed\.\nThis was a dry run: nothing was changed\./)
  assert.equal(await usersOf(pool.id), 0)
  const done = await lido('import', 'filed', file)
  assert.match(done.out, /^row 2: email is none\n1 created, 0 updated, 1 skipped, 1 failed\.\n$/)
  assert.equal(await usersOf(pool.id), 1)
  const target = join(folder, 'out.ndjson')
  assert.equal((await lido('export', 'filed', target)).code, 0)
  assert.equal(JSON.parse(await readFile(target, 'utf8')).email, 'a@example.org')
  assert.equal((await stat(target)).mode & 0o077, 0)
  assert.equal((await lido('export', 'filed', target)).code, 1, 'no file is overwritten')
})

test('refuses words that make no sense', async () => {
  for (const words of [
    ['import'],
    ['import', 'filed', 'people.txt'],
    ['import', 'filed', 'people.csv', '--on-duplicate', 'guess'],
    ['import', 'filed', 'people.csv', '--map', 'email'],
    ['import', 'filed', 'people.csv', '--map', 'Mail=surprise'],
    ['import', 'filed', 'people.json'],
    ['import', 'filed', 'people.csv', '--preset', 'okta'],
    ['export', 'filed', 'out.txt'],
    ['export', 'filed', 'out.json'],
    ['export', 'filed', 'out.json', '--format', 'okta'],
    ['export', 'filed', 'out.csv', '--format', 'cognito', '--hashes'],
    ['export', 'filed', 'out.csv', '--surprise'],
  ])
    assert.equal((await lido(...words)).code, 2, words.join(' '))
  assert.match((await lido('import', 'nowhere', 'people.csv')).err, /no pool "nowhere"/)
})

test('takes another system’s file by its preset, and writes one', async () => {
  await makePool('moving')
  await makePool('moved')
  const users = [
    { id: 'k1', username: 'k@example.org', email: 'k@example.org', emailVerified: true, attributes: { size: ['L'] } },
    { username: 'clear', email: 'c@example.org', credentials: [{ type: 'password', value: 'secret' }] },
  ]
  const file = await write('realm.json', JSON.stringify({ realm: 'x', users }, null, 2))
  const done = await lido('import', 'moving', file, '--preset', 'keycloak', '--map', 'username=')
  assert.match(
    done.out,
    /^row 2: A password that is not hashed is not taken; .*\nleft out: attributes\.size, of 1 rows\n2 created/,
    done.err,
  )
  const target = join(folder, 'moving.json')
  assert.equal((await lido('export', 'moving', target, '--format', 'auth0')).code, 0)
  const again = await lido('import', 'moved', target, '--preset', 'auth0')
  assert.match(again.out, /^2 created, 0 updated, 0 skipped, 0 failed\.$/m, again.err)
})

test('calls columns as it is told, and gives roles', async () => {
  const { db } = connection
  const pool = await makePool('mapped')
  await db
    .transaction()
    .execute((trx) =>
      roles.create(
        trx,
        new Date(),
        { key: 'helper', name: 'Helper', description: '', permissions: [], tenantId: null },
        { kind: 'system' },
      ),
    )
  const file = await write('mapped.csv', 'E=Mail,Rolle,Notiz\na@example.org,helper,x\nb@example.org,unknown,x\n')
  const mapping = ['--map', 'E=Mail=email', '--map', 'Rolle=roles', '--map', 'Notiz=']
  const done = await lido('import', 'mapped', file, ...mapping)
  assert.match(done.out, /^row 2: There is no role unknown for this pool\n1 created/, done.err)
  const given = await db.selectFrom('userRoles').select('tenantId').where('poolId', '=', pool.id).execute()
  assert.deepEqual(given, [{ tenantId: null }])
})

test('killed in the middle, goes on where it was, and makes everyone once', async () => {
  const { db } = connection
  const pool = await makePool('killed')
  const rows = Array.from({ length: 6_000 }, (_, i) => JSON.stringify({ email: `k${i}@example.org` }))
  const file = await write('many.ndjson', rows.join('\n'))
  const cli = fileURLToPath(new URL('../cli.ts', import.meta.url))
  const options = { env: { PATH: process.env.PATH, ...env() }, stdio: 'ignore' } as const
  const child = spawn(process.execPath, [cli, 'import', 'killed', file], options)
  const ended = new Promise((resolve) => child.on('exit', resolve))
  let run: imports.Import | undefined
  for (const deadline = Date.now() + 20_000; Date.now() < deadline && !(run && run.position > 0); await setTimeout(5))
    [run] = await imports.list(db, pool.id, { limit: 1, before: undefined })
  child.kill('SIGKILL')
  await ended
  assert.ok(run)
  await setTimeout(200)
  const stopped = await imports.get(db, pool.id, run.id)
  assert.ok(stopped.position > 0 && stopped.position < 6_000, `stopped at ${stopped.position}`)
  assert.deepEqual([stopped.state, await usersOf(pool.id)], ['running', stopped.position])
  // What the job does that the import has left behind.
  await imports.importUsers({ db, clock: systemClock })({ pool: pool.id, id: run.id })
  const done = await imports.get(db, pool.id, run.id)
  assert.deepEqual([done.state, done.created, done.failed], ['done', 6_000, 0])
  assert.equal(await usersOf(pool.id), 6_000)
})
