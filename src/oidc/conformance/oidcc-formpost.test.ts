import { after, before, test } from 'node:test'
import { coreModules } from './core-modules-testing.ts'
import { requestModules } from './request-modules-testing.ts'
import { openSuite, type Suite } from './suite-testing.ts'

/**
 * `oidcc-formpost-basic-certification-test-plan`: every module of the basic plan, each answer asked for by
 * `response_mode=form_post` and read from the form that the browser is shown.
 */
let suite: Suite
before(async () => {
  suite = await openSuite({ mode: 'form_post' })
})
after(() => suite.stop())

for (const { name, says, run } of [...coreModules, ...requestModules]) test(`${name}: ${says}`, () => run(suite))
