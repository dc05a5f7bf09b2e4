import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { nodeFor } from './child.ts'
import { confine, findConfinement } from './confinement.ts'
import { testServer } from './fixtures-testing.ts'

/** What code in a child's own Node, outside the interpreter, is told of what it tries. */
const attempt = async (code: string): Promise<string> => {
  const [command = '', ...args] = confine(await findConfinement(), nodeFor(['-e', code]))
  const { stdout } = await promisify(execFile)(command, args, { env: {}, cwd: '/' })
  return stdout.trim()
}

test('lets even the process around the interpreter read, write and start nothing, and know no environment', async () => {
  const tries = [
    `require('fs').readFileSync('/etc/passwd')`,
    `require('fs').readFileSync('${process.cwd()}/package.json')`,
    `require('fs').writeFileSync('/tmp/lido-sandbox', 'x')`,
    `require('child_process').execFileSync('true')`,
    `new (require('worker_threads').Worker)('1', { eval: true })`,
  ]
  const each = tries.map((one) => `(() => { try { ${one}; return 'done' } catch (error) { return error.code } })()`)
  const told = JSON.parse(await attempt(`console.log(JSON.stringify([${each}, Object.keys(process.env).length]))`))
  assert.deepEqual(told, [...tries.map(() => 'ERR_ACCESS_DENIED'), 0])
})

test('leaves it no network where the system has namespaces', async (context) => {
  const { network } = await findConfinement()
  const server = await testServer((_request, response) => response.end('reached'))
  const code = `fetch('${server.origin}').then(() => console.log('reached'), () => console.log('nothing'))`
  context.diagnostic(`namespaces: ${network}`)
  assert.equal(await attempt(code), network ? 'nothing' : 'reached')
})
