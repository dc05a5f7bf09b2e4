import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { poolSettings } from '../../directory/pool-settings.ts'
import { languages, wordsFor } from '../../platform/words.ts'
import { getMethod } from './index.ts'

const settings = poolSettings.shape
const first = settings.sign_in_methods.unwrap().element.options
const second = settings.second_factors.unwrap().element.options
const names = [...new Set<string>([...first, ...second])]
const view = (name: string) => readFileSync(new URL(`../../../views/signin/${name}.njk`, import.meta.url), 'utf8')

for (const name of names) {
  test(`${name} is in the list under its own name, and proves something`, () => {
    const method = getMethod(name)
    assert.equal(method.name, name)
    assert.ok(method.amr && method.factors.length > 0)
  })

  test(`${name} can be told from the others in every language`, () => {
    for (const { t } of languages.map(wordsFor)) {
      assert.ok(t(`method.${name}`))
      if (getMethod(name).enrol) assert.ok(t(`enrol.${name}`))
    }
    if (getMethod(name).enrol) assert.match(view('enrol'), new RegExp(`method == '${name}'`))
  })
}

test('a name that no list allows is no method, whatever objects have by that name', () => {
  for (const name of ['carrier_pigeon', 'constructor', '__proto__', '']) assert.throws(() => getMethod(name))
})
