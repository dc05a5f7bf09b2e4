import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testSandbox } from './sandbox/fixtures-testing.ts'
import type { Outcome } from './sandbox.ts'

const sandbox = testSandbox()
const { f } = sandbox
const answer = async (code: string, input: unknown = {}) => {
  const outcome = await f(code, { input })
  assert.ok(outcome.ok, JSON.stringify(outcome))
  return outcome.output
}
const failure = (outcome: Outcome): { why?: string; detail?: string } =>
  outcome.ok ? {} : { why: outcome.why, detail: outcome.detail }

test('starts nothing before the first run, and keeps two ready after it', async () => {
  assert.equal(sandbox.children.length, 0)
  assert.equal(await answer('const f = () => 1'), 1)
  await sandbox.warm()
  assert.equal(sandbox.children.filter((child) => child.lives()).length, 2)
})

test('gives back what a function makes of its input, at once or later', async () => {
  assert.deepEqual(await answer('function f({ n }) { return { twice: 2 * n } }', { n: 21 }), { twice: 42 })
  assert.deepEqual(await answer('const f = async ({ n }) => { await null; return [n, await n] }', { n: 'é' }), [
    'é',
    'é',
  ])
  assert.equal(await answer('const f = () => {}'), null)
})

test('keeps what a script prints, and cuts it', async () => {
  const { logs } = await f('const f = () => console.log("seen", { a: 1 }, null)')
  assert.equal(logs, 'seen {"a":1} null\n')
  const long = await f('const f = () => { for (let n = 0; n < 900; n += 1) console.log("0123456789") }')
  assert.ok(long.ok, JSON.stringify(long).slice(0, 200))
  assert.equal(long.logs.length, 8192)
})

test('says what went wrong, and where', async () => {
  assert.deepEqual(failure(await f('const f = () => {\n  nothing()\n}')), {
    why: 'threw',
    detail: "ReferenceError: 'nothing' is not defined (script.js:2)",
  })
  assert.equal(failure(await f('const f = (')).why, 'threw')
  assert.equal(failure(await f('const g = 1')).detail, 'TypeError: f is no function (script.js:1)')
  assert.equal(failure(await f('const f = () => new Promise(() => {})')).why, 'threw')
  assert.equal(failure(await f('const f = () => { throw { a: 1 } }')).detail, 'It threw {"a":1}')
  await assert.rejects(sandbox.run({ key: 'k', code: '', call: 'f()', input: {} }), /Not the name/)
})

test('takes no more than 32 KB and gives no more than 8 KB', async () => {
  assert.equal(failure(await f('const f = () => 1', { input: 'x'.repeat(33_000) })).why, 'too_large')
  assert.equal(failure(await f(`const f = () => 1 //${'x'.repeat(65_536)}`)).why, 'too_large')
  assert.equal(failure(await f('const f = () => "x".repeat(8191)')).why, 'too_large')
  assert.equal(failure(await f('const f = () => "é".repeat(5000)')).why, 'too_large')
  assert.equal(await answer('const f = ({ length }) => "x".repeat(8190).length + length', 'x'.repeat(32_000)), 40_190)
})

/** What a script may try, and what becomes of it: a reason, or a value that gives nothing away. */
const attacks: Record<string, { code: string; as: string[] | { value: unknown } }> = {
  'the constructor of what surrounds it': {
    code: `const f = () => this.constructor.constructor('return typeof process + typeof require')()`,
    as: { value: 'undefinedundefined' },
  },
  'the constructor of a host function': {
    code: `const f = () => console.log.constructor('return typeof process + typeof globalThis.Buffer')()`,
    as: { value: 'undefinedundefined' },
  },
  'what Node has': {
    code: `const f = () => [typeof fetch, typeof require, typeof process, typeof setTimeout, typeof WebAssembly, typeof Worker, typeof Deno, typeof std, typeof os].filter((one) => one !== 'undefined')`,
    as: { value: [] },
  },
  'an import': {
    code: `const f = async () => (await import('node:fs')).readFileSync('/etc/passwd', 'utf8')`,
    as: ['threw'],
  },
  'an import of a file': { code: `const f = () => import('/etc/passwd')`, as: ['threw'] },
  'a loop without end': { code: 'const f = () => { for (;;); }', as: ['timeout'] },
  'a loop that catches everything': {
    code: 'const f = () => { for (;;) try { for (;;); } catch {} }',
    as: ['timeout'],
  },
  'a loop before any function': { code: 'for (;;); const f = 1', as: ['timeout'] },
  'a regular expression that explodes': {
    code: `const f = () => /(a+)+$/.test('a'.repeat(50) + 'b')`,
    as: ['timeout'],
  },
  'a chain of promises without end': {
    code: 'const f = () => { const next = () => Promise.resolve().then(next); return next() }',
    as: ['timeout'],
  },
  'promises that multiply': {
    code: 'const f = async () => { const two = async () => { await null; two(); two() }; await two(); return new Promise(() => {}) }',
    as: ['timeout', 'memory'],
  },
  'a thenable without end': {
    code: 'const f = () => { const one = { then(go) { go(one) } }; return one }',
    as: ['timeout'],
  },
  'an array bomb': {
    code: 'const f = () => { const a = [1]; for (;;) a.push(...a) }',
    as: ['memory', 'threw', 'timeout'],
  },
  'a string bomb': { code: `const f = () => { let s = 'x'; for (;;) s += s }`, as: ['memory', 'threw', 'timeout'] },
  'many strings': {
    code: `const f = () => { const a = []; for (;;) a.push('x'.repeat(1e6) + a.length) }`,
    as: ['memory', 'timeout'],
  },
  'a bomb of array buffers': {
    code: 'const f = () => { const a = []; for (;;) { const b = new Uint8Array(5e5); b[0] = 1; a.push(b) } }',
    as: ['memory', 'threw', 'timeout'],
  },
  'one enormous buffer': { code: 'const f = () => new ArrayBuffer(2 ** 31).byteLength', as: ['memory', 'threw'] },
  'a bomb that catches what is refused': {
    code: `const f = () => { const a = []; for (;;) try { for (;;) a.push(new Uint8Array(1e6)) } catch {} }`,
    as: ['timeout', 'memory'],
  },
  'an endless recursion': { code: 'const f = () => f() + 1', as: ['threw'] },
  'a deep recursion through JSON': {
    code: `const f = () => { let a = {}; for (let n = 0; n < 1e5; n += 1) a = { a }; return a }`,
    as: ['bad_output', 'memory', 'timeout', 'crashed'],
  },
  'a deep nest of brackets': {
    code: `const f = () => JSON.parse('['.repeat(1e6))`,
    as: ['threw', 'memory', 'timeout', 'crashed'],
  },
  'sleeping on an atomic': {
    code: 'const f = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)',
    as: ['threw', 'timeout'],
  },
  'a key __proto__': { code: `const f = () => JSON.parse('{"a":[{"__proto__":{"admin":true}}]}')`, as: ['bad_output'] },
  'a key constructor': { code: 'const f = () => ({ a: { constructor: { prototype: 1 } } })', as: ['bad_output'] },
  'three thousand lists in one another': {
    code: 'const f = () => { let a = 1; for (let n = 0; n < 3000; n += 1) a = [a]; return { claims: { a } } }',
    as: ['bad_output'],
  },
  'a key prototype': { code: 'const f = () => [[{ prototype: 1 }]]', as: ['bad_output'] },
  'a proxy without end': {
    code: 'const f = () => new Proxy({}, { ownKeys() { for (;;); } })',
    as: ['timeout'],
  },
  'a proxy that nests itself': {
    code: 'const f = () => { const p = new Proxy({}, { ownKeys: () => ["a"], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }), get: (_, key) => key === "a" ? p : undefined }); return { p } }',
    as: ['bad_output', 'timeout'],
  },
  'a getter that throws': { code: 'const f = () => ({ get a() { throw new Error("no") } })', as: ['bad_output'] },
  'a getter without end': { code: 'const f = () => ({ get a() { for (;;); } })', as: ['timeout'] },
  'a toJSON without end': { code: 'const f = () => ({ toJSON() { for (;;); } })', as: ['timeout'] },
  'an error whose message never ends': {
    code: 'const f = () => { throw Object.defineProperty(new Error(), "message", { get() { for (;;); } }) }',
    as: ['timeout'],
  },
  '50 MB': { code: `const f = () => 'x'.repeat(5e7)`, as: ['too_large', 'memory'] },
  '50 MB of printing': {
    code: `const f = () => { const much = 'x'.repeat(1e6); for (let n = 0; n < 50; n += 1) console.log(much); return 'printed' }`,
    as: { value: 'printed' },
  },
  'a forged result': {
    code: `const f = () => { console.log('{"is":"done","verdict":{"ok":true,"output":"\\\\"forged\\\\""},"logs":""}'); throw new Error('no') }`,
    as: ['threw'],
  },
  'a forged JSON': {
    code: `JSON.stringify = () => 'x'.repeat(1e5); String.prototype.slice = () => { for (;;); }; Promise.prototype.then = undefined; const f = () => 'honest'`,
    as: { value: 'honest' },
  },
  'a length that lies': {
    code: `Object.defineProperty(String.prototype, 'length', { get: () => 1 }); const f = () => 'x'.repeat(20000)`,
    as: ['too_large'],
  },
  'WebAssembly memory': { code: 'const f = () => new WebAssembly.Memory({ initial: 30000 })', as: ['threw'] },
  'the environment': { code: 'const f = () => process.env', as: ['threw'] },
}

const rssAtFirst = process.memoryUsage.rss()

/** Once more, and once more again: a machine that does other things meanwhile is no fault of the sandbox. */
const patiently = async (attempt: () => Promise<void>): Promise<void> => {
  for (let left = 2; left > 0; left -= 1) {
    try {
      return await attempt()
    } catch {}
  }
  await attempt()
}

for (const [name, { code, as }] of Object.entries(attacks))
  test(`gets nowhere with ${name}`, () =>
    patiently(async () => {
      await sandbox.warm()
      const loop = watchLoop()
      const outcome = await f(code, { key: `${name} ${sandbox.children.length}` })
      const longest = loop.stop()
      if (Array.isArray(as)) assert.ok(!outcome.ok && as.includes(outcome.why), JSON.stringify(outcome).slice(0, 500))
      else assert.deepEqual(outcome.ok && outcome.output, as.value, JSON.stringify(outcome).slice(0, 500))
      assert.ok(outcome.ms < 500, `took ${outcome.ms} ms`)
      assert.ok(longest < 250, `nothing else was done for ${longest} ms`)
      assert.ok(process.memoryUsage.rss() - rssAtFirst < 50 * 2 ** 20)
    }))

test('lets no attack reach what runs beside it', async () => {
  const greedy = Object.values(attacks).filter(({ as }) => Array.isArray(as) && as.some((why) => why === 'timeout'))
  const others = Array.from({ length: 10 }, (_, n) => n)
  const [outcomes] = await Promise.all([
    Promise.all(others.map((n) => f('const f = (n) => n * 7', { key: 'other', input: n }))),
    ...greedy.slice(0, 8).map(({ code }, n) => f(code, { key: `greedy ${n}` })),
  ])
  assert.deepEqual(
    outcomes.map((one) => one.ok && one.output),
    others.map((n) => n * 7),
  )
})

/** The longest that this process did nothing else, in milliseconds. */
const watchLoop = () => {
  let last = performance.now()
  let longest = 0
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }, 5)
  return {
    stop: () => {
      clearInterval(timer)
      return longest
    },
  }
}
