import { after, before, test } from 'node:test'
import { coreModules } from './core-modules-testing.ts'
import { requestModules } from './request-modules-testing.ts'
import { openSuite, type Suite } from './suite-testing.ts'

/**
 * `oidcc-basic-certification-test-plan`, with a client that an operator has registered. All of its modules are here; two
 * that the suite skips for what discovery says (`none`) hold what there is in their place. docs/conformance.md has the table.
 */
let suite: Suite
before(async () => {
  suite = await openSuite()
})
after(() => suite.stop())

for (const { name, says, run } of [...coreModules, ...requestModules]) test(`${name}: ${says}`, () => run(suite))
