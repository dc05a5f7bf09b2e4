import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { discardEmbedded, startEmbedded } from './embedded.ts'

const settings = { fsync: 'off', shared_buffers: '16MB', io_method: 'sync' }

const newFolder = async (t: TestContext): Promise<string> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'lido-test-'))
  t.after(() => discardEmbedded(dataDir))
  return dataDir
}

const start = (dataDir: string, log: (line: string) => void = () => {}) => startEmbedded({ dataDir, log, settings })

/** A process of its own that starts the server of a folder and stops it when it is written to; `said` is its output. */
const startElsewhere = (t: TestContext, dataDir: string) => {
  const source = `
    import { startEmbedded } from ${JSON.stringify(new URL('embedded.ts', import.meta.url).href)}
    const options = ${JSON.stringify({ dataDir, settings })}
    const server = await startEmbedded({ ...options, log: console.log })
    console.log(server.url)
    process.stdin.once('data', () => server.stop().then(() => process.exit()))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => end(child, () => child.kill('SIGKILL')))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  const said = async (words: RegExp): Promise<string> => {
    for (;;) {
      const [found] = words.exec(output) ?? []
      if (found) return found
      assert.equal(child.exitCode, null, output)
      await setTimeout(5)
    }
  }
  return {
    said,
    url: () => said(/postgresql:.*(?=\n)/),
    kill: () => end(child, () => child.kill('SIGKILL')),
    stop: () => end(child, () => child.stdin.write('stop\n')),
  }
}

const end = async (child: ChildProcess, act: () => void) => {
  if (child.exitCode !== null || child.signalCode !== null) return
  act()
  await once(child, 'exit')
}

const ask = async (url: string, ...texts: string[]): Promise<unknown> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    let answer: unknown
    for (const text of texts) answer = (await client.query({ text, rowMode: 'array' })).rows[0]?.[0]
    return answer
  } finally {
    await client.end()
  }
}

const postmasterOf = async (dataDir: string): Promise<number> =>
  Number.parseInt(await readFile(join(dataDir, 'cluster', 'postmaster.pid'), 'utf8'), 10)

const isUp = (url: string) =>
  ask(url, 'select 1').then(
    () => true,
    () => false,
  )

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('keeps data and address from one start to the next', async (t) => {
  const dataDir = await newFolder(t)
  const first = await start(dataDir)
  await ask(first.url, 'create table kept (id int)', 'insert into kept values (7)')
  await first.stop()
  assert.equal(await isUp(first.url), false)
  const second = await start(dataDir)
  assert.equal(second.url, first.url)
  assert.equal(await ask(second.url, 'select id from kept'), 7)
  await second.stop()
  await second.stop()
  assert.equal(await isUp(second.url), false)
})

test('speaks UTF-8, on the loopback address only, to who knows the password, and nobody else can read it', async (t) => {
  const dataDir = await newFolder(t)
  const { url, stop } = await start(dataDir)
  assert.equal(await ask(url, 'show server_encoding'), 'UTF8')
  assert.equal(await ask(url, `select lower('ÄÉ')`), 'äé')
  assert.equal(await ask(url, 'show listen_addresses'), '127.0.0.1')
  assert.equal(await ask(url, 'show unix_socket_directories'), '')
  assert.equal(await ask(url, 'show fsync'), 'off')
  const wrong = new URL(url)
  wrong.password = 'wrong'
  await assert.rejects(ask(wrong.href, 'select 1'), { code: '28P01' })
  for (const file of ['server.json', 'postgres.log'])
    assert.equal((await stat(join(dataDir, file))).mode & 0o777, 0o600)
  assert.equal((await stat(join(dataDir, 'cluster'))).mode & 0o777, 0o700)
  await stop()
})

test('finds the server that a killed process left, and stops it in the end', async (t) => {
  const dataDir = await newFolder(t)
  const killed = startElsewhere(t, dataDir)
  const url = await killed.url()
  await ask(url, 'create table kept (id int)')
  const pid = await postmasterOf(dataDir)
  await killed.kill()
  const { url: again, stop } = await start(dataDir)
  assert.equal(again, url)
  assert.equal(await postmasterOf(dataDir), pid)
  await ask(again, 'table kept')
  await stop()
  assert.equal(await isUp(url), false)
  await assert.rejects(postmasterOf(dataDir), { code: 'ENOENT' })
})

test('recovers what was committed after server and process were killed', async (t) => {
  const dataDir = await newFolder(t)
  const killed = startElsewhere(t, dataDir)
  const url = await killed.url()
  await ask(url, 'create table kept (id int)', 'insert into kept values (7)')
  const pid = await postmasterOf(dataDir)
  process.kill(pid, 'SIGKILL')
  await killed.kill()
  const { url: again, stop } = await start(dataDir)
  assert.notEqual(await postmasterOf(dataDir), pid)
  assert.equal(await ask(again, 'select id from kept'), 7)
  await stop()
})

test('is not misled by a lock with the number of a process that is somebody else', async (t) => {
  const dataDir = await newFolder(t)
  const { url, stop } = await start(dataDir)
  const lock = await readFile(join(dataDir, 'cluster', 'postmaster.pid'), 'utf8')
  await stop()
  const stranger = spawn('sleep', ['60'], await stat(join(dataDir, 'cluster')))
  t.after(() => stranger.kill())
  await writeFile(join(dataDir, 'cluster', 'postmaster.pid'), lock.replace(/^\d+/, String(stranger.pid)))
  const again = await start(dataDir)
  assert.equal(await isUp(url), true)
  await again.stop()
  assert.equal(isAlive(stranger.pid ?? 0), true)
})

test('takes another port where somebody has its own', async (t) => {
  const dataDir = await newFolder(t)
  const first = await start(dataDir)
  await first.stop()
  const { createServer } = await import('node:net')
  const squatter = createServer().listen(Number(new URL(first.url).port), '127.0.0.1')
  await once(squatter, 'listening')
  const second = await start(dataDir)
  assert.notEqual(second.url, first.url)
  assert.equal(await isUp(second.url), true)
  await second.stop()
  squatter.close()
})

test('of two starts at once in a new folder, both get the same server, and the last to leave stops it', async (t) => {
  const dataDir = await newFolder(t)
  const nodes = [startElsewhere(t, dataDir), startElsewhere(t, dataDir), startElsewhere(t, dataDir)] as const
  const urls = await Promise.all(nodes.map(({ url }) => url()))
  assert.equal(new Set(urls).size, 1)
  const url = String(urls[0])
  await nodes[0].stop()
  assert.equal(await isUp(url), true)
  await nodes[1].kill()
  assert.equal(await isUp(url), true)
  await nodes[2].stop()
  assert.equal(await isUp(url), false)
})

test('starts over where it was killed in the middle of setting up', async (t) => {
  const dataDir = await newFolder(t)
  for (const patience of [0, 60, 150, 250]) {
    const killed = startElsewhere(t, dataDir)
    await killed.said(/Setting up/)
    await setTimeout(patience)
    await killed.kill()
  }
  const { url, stop } = await start(dataDir)
  assert.equal(await ask(url, 'select current_database()'), 'lido')
  await stop()
})

test('starts no second server on files that somebody out of sight uses', async (t) => {
  const dataDir = await newFolder(t)
  const other = startElsewhere(t, dataDir)
  const url = await other.url()
  const lock = join(dataDir, 'cluster', 'postmaster.pid')
  const text = await readFile(lock, 'utf8')
  await writeFile(lock, text.replace(/^\d+/, '999999999'))
  await assert.rejects(start(dataDir), /is in use/)
  await writeFile(lock, text)
  assert.equal(await isUp(url), true)
  await other.stop()
})

test('is out of reach of the Ctrl-C that ends us', async (t) => {
  const dataDir = await newFolder(t)
  const { url, stop } = await start(dataDir)
  const pid = await postmasterOf(dataDir)
  // A group of its own has the number of its first process.
  process.kill(-pid, 0)
  assert.equal(await isUp(url), true)
  await stop()
})

test('says what PostgreSQL said where it does not start', async (t) => {
  const dataDir = await newFolder(t)
  const wrong = startEmbedded({ dataDir, log: () => {}, settings: { ...settings, shared_buffers: 'plenty' } })
  await assert.rejects(wrong, /invalid value for parameter "shared_buffers"/)
  const { stop } = await start(dataDir)
  await stop()
})

test('deletes a server that nobody uses, and none that somebody does', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'lido-test-'))
  const node = startElsewhere(t, dataDir)
  const url = await node.url()
  assert.equal(await discardEmbedded(dataDir), false)
  assert.equal(await isUp(url), true)
  await node.kill()
  assert.equal(await discardEmbedded(dataDir), true)
  assert.equal(await isUp(url), false)
  await assert.rejects(stat(dataDir), { code: 'ENOENT' })
})
