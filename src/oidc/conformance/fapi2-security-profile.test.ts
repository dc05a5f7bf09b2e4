import { after, before, test } from 'node:test'
import { goodModules } from './fapi-good-modules-testing.ts'
import { requestModules } from './fapi-request-modules-testing.ts'
import { type FapiSuite, openFapi } from './fapi-testing.ts'
import { tokenModules } from './fapi-token-modules-testing.ts'

/**
 * `fapi2-security-profile-final-test-plan` with `client_auth_type=private_key_jwt`, `sender_constrain=dpop`,
 * `openid=openid_connect`, `fapi_profile=plain_fapi`, `authorization_request_type=simple`: all modules that go with it.
 */
let suite: FapiSuite
before(async () => {
  suite = await openFapi(false)
})
after(() => suite.stop())

for (const { name, says, run } of [...goodModules, ...requestModules, ...tokenModules])
  test(`fapi2-security-profile-final-${name}: ${says}`, () => run(suite))
