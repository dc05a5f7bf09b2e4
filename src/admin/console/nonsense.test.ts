import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { fillPath } from '../router.ts'
import { makePlace, type Place, pathIn } from '../routes-testing.ts'
import { openConsole } from './fixtures-testing.ts'
import type { ConsolePage } from './page.ts'
import { pages } from './pages/index.ts'

let lido: AdminLido
let cookie = ''
let place: Place
before(async () => {
  lido = await adminLido()
  const { cookies } = await openConsole(lido)
  cookie = [...cookies].map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; ')
  place = await makePlace(lido, 'nonsense')
})
after(() => lido.stop())

const ask = async (path: string, body?: string) => {
  const form = { 'Content-Type': 'application/x-www-form-urlencoded', Origin: lido.url }
  const answer = await fetch(`${lido.url}/console${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { Cookie: cookie, ...(body === undefined ? {} : form) },
    redirect: 'manual',
    ...(body === undefined ? {} : { body }),
  })
  return { status: answer.status, html: await answer.text() }
}

const isOf = (method: string) => (page: ConsolePage) => page.method === method
const real = ({ path }: ConsolePage): string => pathIn(path.replace('{lang}', 'en').replace(/^\/$/, ''), place)
const unreal = ({ path }: ConsolePage, value: string): string =>
  fillPath(
    path.replace(/^\/$/, ''),
    Object.fromEntries([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, value])),
  )

const values = ['nonsense', '💥', "'", randomUUID(), '__proto__']
const queries = [
  'cursor=a.b&limit=0&lang=xx&mode=nope&refresh=x&from=-1',
  'search=%25_%5C%F0%9F%92%A5&status=nope&group=nope&find=%27&parent=nope',
  'days=1e9&pool=nope&workspace=nope&alg=none&client_id=nope',
  'since=0000-01-01T00:00:00Z&until=9999-12-31T23:59:59%2B23:59',
  'type=a.b,&user=x&%ff=%E0%A4%A&trace=%20&a=1&a=2',
]

test('no page fails over an address that means nothing', async () => {
  const paths = pages
    .filter(isOf('GET'))
    .flatMap((page) => [
      ...values.map((value) => unreal(page, value)),
      ...['', ...queries].map((query) => `${real(page)}?${query}`),
    ])
  for (const path of new Set(paths)) {
    const { status } = await ask(path)
    assert.ok(status < 500, `${status} ${path}`)
  }
})

// What takes a record away goes last, or the others would only be told that it is gone.
const endings = /~(delete|end-old|revoke|reset|sign-out)$/
const typed = [
  undefined,
  '',
  '-1',
  '[[{"a":null}]]',
  '{"a":"\\ud800\\u0000"}',
  '1e999',
  'a = b\n= =\n💥',
  'javascript:alert(1)',
  'true',
]

test('no form fails over what means nothing', async () => {
  const csrf = (await ask('/pools')).html.match(/name="csrf" value="([^"]+)"/)?.[1] ?? ''
  assert.notEqual(csrf, '')
  const forms = pages.filter(isOf('POST')).sort((a, b) => Number(endings.test(a.path)) - Number(endings.test(b.path)))
  for (const page of forms) {
    const names = [...(await ask(real(page))).html.matchAll(/ name="([^"]+)"/g)].map(([, name = '']) => name)
    const bodies = typed.map((value) => {
      const fields = value === undefined ? [] : names.filter((name) => name !== 'csrf').map((name) => [name, value])
      return new URLSearchParams([['csrf', csrf], ...new Map(fields as [string, string][])]).toString()
    })
    const odd = [`csrf=${csrf}&__proto__=x`, `csrf=${csrf}&a=1&a=2`, `csrf=${csrf}&x=${'y'.repeat(70_000)}`, '%', '']
    for (const body of [...bodies, ...odd]) {
      const { status } = await ask(real(page), body)
      assert.ok(status < 500, `${status} ${page.path} ${body.slice(-80)}`)
    }
    for (const value of values) assert.ok((await ask(unreal(page, value), `csrf=${csrf}`)).status < 500, page.path)
  }
})
