import type { Field } from '../../../platform/http/render.ts'
import { Problem } from '../../../platform/problem.ts'
import type { Json } from '../../openapi.ts'
import { parseJson } from '../../parse.ts'
import { type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { demanding } from '../section.ts'

type Above = (visit: Visit) => Promise<{ title: string; href: string }[]>

/** The test bench of a script: an input, perhaps other code, and what comes of them. */
export const benchPages = (one: string, above: Above): ConsolePage[] => [
  { method: 'GET', path: `${one}/~test`, handle: (visit) => open(demanding(visit, 'testScript'), above) },
  { method: 'POST', path: `${one}/~test`, handle: (visit) => run(demanding(visit, 'testScript'), above) },
]

const placeOf = ({ params: { workspace = '', id = '' } }: Visit) => ({ params: { workspace, id } })

const open = async (visit: Visit, above: Above): Promise<Outcome> => {
  const { items, example } = (await call(visit, 'listScriptSamples', placeOf(visit))).body
  const chosen = (items as Json[]).find(({ id }) => id === visit.query.sample) ?? (items as Json[])[0]
  const { body: script } = await call(visit, 'getScript', placeOf(visit))
  const input = JSON.stringify(chosen?.input ?? example, null, 2)
  return draw(visit, above, { input, code: String(script.code), name: '' }, {})
}

interface Typed {
  input: string
  code: string
  name: string
}

interface Told {
  result?: Json
  errors?: Record<string, string>
  alert?: string
  kept?: boolean
}

const run = async (visit: Visit, above: Above): Promise<Outcome> => {
  const { input: typed = '', code: written = '', name = '', action } = visit.form
  const text = { input: typed.replaceAll('\r\n', '\n'), code: written.replaceAll('\r\n', '\n'), name }
  try {
    const input = read(text.input)
    if (action === 'keep') {
      await call(visit, 'createScriptSample', { ...placeOf(visit), body: { name: name.trim(), input } })
      return await draw(visit, above, { ...text, name: '' }, { kept: true })
    }
    const { body } = await call(visit, 'testScript', { ...placeOf(visit), body: { input, code: text.code } })
    return await draw(visit, above, text, { result: body })
  } catch (error) {
    return draw(visit, above, text, faultsFor(error))
  }
}

const read = (text: string): unknown => {
  try {
    return parseJson(text)
  } catch {
    throw new Problem('unprocessable', { errors: [{ pointer: '/input', detail: 'This is not JSON' }] })
  }
}

const draw = async (visit: Visit, above: Above, typed: Typed, told: Told): Promise<Outcome> => {
  const { result, errors = {}, alert, kept = false } = told
  const raw = { kind: 'textarea', raw: true } as const
  const fault = (pointer: string) => {
    const error = Object.entries(errors).find(([at]) => at === pointer || at.startsWith(`${pointer}/`))?.[1]
    return error ? { error } : {}
  }
  const input: Field = { ...raw, name: 'input', label: 'Input', rows: 16, value: typed.input, ...fault('/input') }
  const code: Field = { ...raw, name: 'code', label: 'Code', rows: 16, value: typed.code, ...fault('/code') }
  const name: Field = { name: 'name', kind: 'text', label: 'Name', value: typed.name, ...fault('/name') }
  const samples = ((await call(visit, 'listScriptSamples', placeOf(visit))).body.items as Json[]).map((one) => ({
    title: String(one.name),
    href: `${visit.path}?sample=${one.id}`,
    here: one.id === visit.query.sample,
  }))
  const values = {
    input: { ...input, hint: 'JSON: what the function is called with.' },
    code: { ...code, hint: 'It is run as it stands here, and is not saved.' },
    name,
    samples,
    kept,
    alert: alert ?? null,
    result: result ? resultOf(result) : null,
  }
  const title = 'Try the script'
  return {
    show: { view: 'console/script-bench', title, crumbs: await above(visit), status: alert ? 422 : 200, values },
  }
}

const resultOf = ({ ok, why, detail, output, errors, logs, ms }: Json): Json => ({
  ok,
  why: why ?? '',
  detail: detail ?? '',
  output: JSON.stringify(output, null, 2),
  errors,
  logs,
  ms: Math.round(Number(ms)),
})
